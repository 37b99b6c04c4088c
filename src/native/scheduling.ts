// Which threads the kernel lets run first: sched_setscheduler(2). On a loaded machine a thread that is woken waits for
// milliseconds until others have had their turn.
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
