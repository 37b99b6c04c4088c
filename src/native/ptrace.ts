// Stopping threads of other processes and changing their registers: ptrace(2) with PTRACE_SEIZE, waitid(2).
//
// All of it belongs to the thread that seized, and who reaps children takes a stop for an exit: what is seized must be
// let go in the same turn of the event loop, on the main thread.
import { constants } from 'node:os'
import { SyscallError } from './error.js'
import { rawSyscall } from './ffi.js'
import { allocate, type Block } from './memory.js'
import { registerLayout } from './registers.js'
import { makeWay } from './scheduling.js'
import type { Tid } from './types.js'

const requests = {
  PTRACE_CONT: 7,
  PTRACE_SINGLESTEP: 9,
  PTRACE_DETACH: 17,
  PTRACE_GETREGSET: 0x4204,
  PTRACE_SETREGSET: 0x4205,
  PTRACE_SEIZE: 0x4206,
  PTRACE_INTERRUPT: 0x4207,
  PTRACE_GETSIGMASK: 0x420a,
  PTRACE_SETSIGMASK: 0x420b,
} as const
type Request = keyof typeof requests

const NT_PRSTATUS = 1
const { ESRCH, ECHILD } = constants.errno

/** False if the thread is gone, or not stopped where it must be. @throws SyscallError */
function ptrace(request: Request, tid: Tid, address = 0, data = 0): boolean {
  const result = rawSyscall('ptrace', requests[request], tid, address, data)
  if (result >= 0) return true
  if (result === -ESRCH) return false
  throw new SyscallError(`ptrace(${request})`, -result, `thread ${tid}`)
}

/**
 * If we end while a thread stands still, perhaps with registers that are not its own, its process is killed: that is a crash
 * like any other, and better than going on so.
 */
const PTRACE_O_EXITKILL = 0x10_0000

/**
 * Becomes the tracer of a thread, which runs on.
 * @returns false if it is gone
 * @throws SyscallError, EPERM without ptrace access, if another traces it, or if it has ended and waits to be reaped
 */
export const seize = (tid: Tid): boolean => ptrace('PTRACE_SEIZE', tid, 0, PTRACE_O_EXITKILL)

/** Has a seized thread stop soon; see awaitStop. False if it is gone. */
export const interrupt = (tid: Tid): boolean => ptrace('PTRACE_INTERRUPT', tid)

/** Lets a stopped thread run, `signal` delivered to it, 0 for none. */
export const resume = (tid: Tid, signal = 0): boolean => ptrace('PTRACE_CONT', tid, 0, signal)

/** Lets a stopped thread execute one instruction. After a system call it stops when that has returned, by SIGTRAP. */
export const step = (tid: Tid): boolean => ptrace('PTRACE_SINGLESTEP', tid)

/** Ends the tracing of a stopped thread: it goes on, `signal` delivered to it, or stays stopped if its process is. */
export const detach = (tid: Tid, signal = 0): boolean => ptrace('PTRACE_DETACH', tid, 0, signal)

/** Room for the registers of one thread. */
export class Registers {
  readonly block: Block = allocate(registerLayout.size)
  private readonly iovec = allocate(16)

  get view(): DataView {
    return this.block.view
  }

  /**
   * Reads those of a stopped thread. False if it is gone.
   * @throws SyscallError, ENOEXEC for a 32-bit task, whose registers are others
   */
  read(tid: Tid): boolean {
    this.prepare()
    if (!ptrace('PTRACE_GETREGSET', tid, NT_PRSTATUS, this.iovec.address)) return false
    if (this.iovec.view.getUint32(8, true) === registerLayout.size) return true
    throw new SyscallError('ptrace(PTRACE_GETREGSET)', constants.errno.ENOEXEC, `32-bit thread ${tid}`)
  }

  /** Writes them into a stopped thread. False if it is gone. */
  write(tid: Tid): boolean {
    this.prepare()
    return ptrace('PTRACE_SETREGSET', tid, NT_PRSTATUS, this.iovec.address)
  }

  copyFrom(other: Registers): void {
    this.block.bytes.set(other.block.bytes)
  }

  private prepare(): void {
    this.iovec.view.setBigUint64(0, BigInt(this.block.address), true)
    this.iovec.view.setBigUint64(8, BigInt(registerLayout.size), true)
  }
}

const NT_ARM_SYSTEM_CALL = 0x404
const armCall = allocate(4)
const armIovec = allocate(16)

/** Aarch64: has a stopped thread forget the system call that it is in, so that nothing of it is made again. */
export function forgetSyscall(tid: Tid): boolean {
  armCall.view.setInt32(0, -1, true)
  armIovec.view.setBigUint64(0, BigInt(armCall.address), true)
  armIovec.view.setBigUint64(8, 4n, true)
  return ptrace('PTRACE_SETREGSET', tid, NT_ARM_SYSTEM_CALL, armIovec.address)
}

const SIGNAL_SET_SIZE = 8
const signalSet = allocate(SIGNAL_SET_SIZE)
/** Every signal that can be blocked, but for SIGTRAP: the kernel forces it on a thread that steps, and changes what becomes of it if it is blocked. */
export const ALL_SIGNALS_BUT_SIGTRAP = 0xffff_ffff_ffff_ffffn ^ 0x10n

/** The blocked signals of a stopped thread; null if it is gone. */
export const signalMaskOf = (tid: Tid): bigint | null =>
  ptrace('PTRACE_GETSIGMASK', tid, SIGNAL_SET_SIZE, signalSet.address) ? signalSet.view.getBigUint64(0, true) : null

export function setSignalMask(tid: Tid, mask: bigint): boolean {
  signalSet.view.setBigUint64(0, mask, true)
  return ptrace('PTRACE_SETSIGMASK', tid, SIGNAL_SET_SIZE, signalSet.address)
}

/** How a thread stands still. */
export type Stop =
  /** By interrupt, or because its whole process is stopped (SIGSTOP). */
  | { readonly kind: 'event' }
  /** It is about to get this signal. */
  | { readonly kind: 'signal'; readonly signal: number }
  /** It has ended, and is reaped if `reaps`. */
  | { readonly kind: 'gone' }
  /** Not within the bound. */
  | { readonly kind: 'late' }

const P_PID = 1
const WNOHANG = 1
const WSTOPPED = 2
const WEXITED = 4
const WALL = 0x4000_0000
// siginfo_t of waitid(2)
const SI_CODE = 8
const SI_PID = 16
const SI_STATUS = 24
const CLD_TRAPPED = 4
const EVENT_STOP = 128
const siginfo = allocate(128)

const eventStop = { kind: 'event' } as const
const gone = { kind: 'gone' } as const
const late = { kind: 'late' } as const

/**
 * Waits for a seized thread to stop. There is no call that waits for that and for a time, and a thread in an uninterruptible
 * sleep must not take us along: so it looks, and looks again.
 * @param until as performance.now() has it
 * @param reaps whether to take note of its end, as must be done for each thread that does not lead its process; the leader
 * of a child of ours is its parent's to reap
 * @param isBeside whether it runs on our processor and has our rank: then it needs ours to go on
 */
export function awaitStop(tid: Tid, until: number, reaps: boolean, isBeside = false): Stop {
  const options = WSTOPPED | WALL | WNOHANG | (reaps ? WEXITED : 0)
  for (let tries = 0; ; tries++) {
    siginfo.view.setInt32(SI_PID, 0, true)
    const result = rawSyscall('waitid', P_PID, tid, siginfo.address, options, 0)
    if (result === -ECHILD || result === -ESRCH) return gone
    if (result === 0 && siginfo.view.getInt32(SI_PID, true) !== 0) return stopOf(siginfo.view)
    if (isBeside) makeWay()
    if (tries < SPINS) continue
    if (performance.now() > until) return late
    shortSleep()
  }
}

const SPINS = 10
const SLEEP_NS = 10_000n
const PR_SET_TIMERSLACK = 29
const duration = allocate(16)
duration.view.setBigInt64(8, SLEEP_NS, true)
let isPrecise = false

/** On a loaded machine a spin, and sched_yield(2) even more, costs us our turn; who sleeps is woken before others. */
function shortSleep(): void {
  // Of this thread alone; a sleep could take 50 µs more than it says without.
  if (!isPrecise) rawSyscall('prctl', PR_SET_TIMERSLACK, 1, 0, 0, 0)
  isPrecise = true
  rawSyscall('nanosleep', duration.address, 0)
}

function stopOf(info: DataView): Stop {
  if (info.getInt32(SI_CODE, true) !== CLD_TRAPPED) return gone
  const status = info.getInt32(SI_STATUS, true)
  if (status >> 8 === EVENT_STOP) return eventStop
  return { kind: 'signal', signal: status & 0x7f }
}
