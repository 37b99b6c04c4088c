// Which threads the kernel lets run first, and where: sched_setscheduler(2), sched_setaffinity(2). On a loaded machine a thread
// that is woken waits for milliseconds until others have had their turn.
import { rawSyscall } from './ffi.js'
import { allocate } from './memory.js'
import type { Tid } from './types.js'

const SCHED_FIFO = 1
/** What the thread starts meanwhile is not of the same kind. */
const SCHED_RESET_ON_FORK = 0x4000_0000
/** SCHED_OTHER, SCHED_BATCH, SCHED_IDLE */
const fair = new Set([0, 3, 5])

// struct sched_param: its one member is the priority
const lowestPriority = allocate(4)
lowestPriority.view.setInt32(0, 1, true)
const none = allocate(4)

/** The calling thread. */
export const SELF = 0 as Tid

/**
 * Lets a thread run before all that are not in a hurry.
 * @returns what calm puts back; null if nothing was changed: without CAP_SYS_NICE, or if it has a rank of its own
 */
export function hurry(tid: Tid): number | null {
  const policy = rawSyscall('sched_getscheduler', tid)
  if (policy < 0 || !fair.has(policy & ~SCHED_RESET_ON_FORK)) return null
  const result = rawSyscall('sched_setscheduler', tid, SCHED_FIFO | SCHED_RESET_ON_FORK, lowestPriority.address)
  return result === 0 ? policy : null
}

/** Puts it back. Its nice value was not changed. */
export function calm(tid: Tid, policy: number): void {
  rawSyscall('sched_setscheduler', tid, policy, none.address)
}

/** Room for 8192 processors, the most that Linux is built for. */
const MASK_SIZE = 1024
const mask = allocate(MASK_SIZE)
const cpu = allocate(4)

/** Where a thread may run. Null if it is gone. */
export function affinityOf(tid: Tid): Uint8Array | null {
  const size = rawSyscall('sched_getaffinity', tid, MASK_SIZE, mask.address)
  return size > 0 ? Uint8Array.from(mask.bytes.subarray(0, size)) : null
}

/** Lets a thread run there alone. False if it may not be told so, or not there. */
export function allow(tid: Tid, affinity: Uint8Array): boolean {
  mask.bytes.set(affinity)
  return rawSyscall('sched_setaffinity', tid, affinity.length, mask.address) === 0
}

/** The processor on which the calling thread is just now, alone. */
export function here(): Uint8Array {
  rawSyscall('getcpu', cpu.address, 0, 0)
  const number = cpu.view.getUint32(0, true)
  const affinity = new Uint8Array(MASK_SIZE)
  affinity[number >> 3] = 1 << (number & 7)
  return affinity
}

/** Lets those go on that run on the same processor and have the same rank. */
export const makeWay = (): void => void rawSyscall('sched_yield')
