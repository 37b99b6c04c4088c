// A process whose threads all stand still, or one of them, until it is released. It must be released in the same turn of
// the event loop.
//
// As long as that lasts, it and we go before all others: a stop is short only if those who take part in it get their turn. The
// thread that makes system calls for us does so on our processor: to wake it on another one takes longer than the call.
//
// A thread in an uninterruptible sleep does not stop, and need not: it neither reads a channel nor can it touch one before
// the others run again.
import { readdirSync, readFileSync } from 'node:fs'
import { callOf } from '../kernel/process.js'
import { failedWith } from '../native/error.js'
import { awaitStop, detach, interrupt, Registers, resume, seize } from '../native/ptrace.js'
import { registerLayout, restartInterrupted } from '../native/registers.js'
import { affinityOf, allow, calm, here, hurry, SELF } from '../native/scheduling.js'
import type { Pid, Tid } from '../native/types.js'
import { GraftError } from './error.js'

/** A stop takes microseconds, on a loaded machine some milliseconds. */
const STOP_DEADLINE_MS = 250

export class StoppedProcess {
  /** The thread that can best make system calls for us: one that sleeps in one, so that nothing is torn apart. */
  readonly caller: Tid
  private readonly seized = new Set<Tid>()
  private readonly stopped = new Set<Tid>()
  private readonly skipped = new Set<Tid>()
  private readonly late = new Set<Tid>()
  /** The calls that its threads waited in just before, where their registers do not tell it afterwards. */
  private readonly waits = new Map<Tid, readonly number[]>()
  /** How those were scheduled that are in a hurry now. */
  private readonly policies = new Map<Tid, number>()
  /** Where the caller and we were allowed to run, if both are on one processor now. */
  private readonly affinities = new Map<Tid, Uint8Array>()
  private since = 0
  private readonly reapsLeader: boolean
  private owed = 0
  private released = false

  /**
   * @param scope all threads, or only the caller
   * @throws GraftError `no-right`, `ended`, `not-stopping`; then none of its threads is stopped
   */
  constructor(
    readonly pid: Pid,
    scope: 'all' | 'one',
  ) {
    const states = new Map(tidsOf(pid).map((tid) => [tid, stateOf(pid, tid)]))
    this.reapsLeader = !isOurChild(pid)
    this.hurry(SELF)
    const rank = (tid: Tid): number => ({ S: 0, D: 2 })[states.get(tid) ?? ''] ?? 1
    const tids = [...states.keys()].sort((a, b) => rank(a) - rank(b))
    const isUninterruptible = (tid: Tid): boolean => rank(tid) === 2
    try {
      if (scope === 'all') this.stopAll(tids.filter((tid) => !isUninterruptible(tid)))
      // Of those in an uninterruptible sleep, one must do if there is no other.
      if (this.stopped.size === 0) this.stopFirst(tids)
      const caller = tids.find((tid) => this.stopped.has(tid)) ?? [...this.stopped][0]
      if (caller === undefined) throw new GraftError(this.seized.size === 0 ? 'ended' : 'not-stopping', pid)
      this.caller = caller
      this.gather(caller)
    } catch (error) {
      this.release()
      throw error
    }
  }

  /**
   * Lets all threads go on as if nothing had been. May be called again.
   * @returns how long they stood still, in microseconds
   */
  release(): number {
    if (this.released) return 0
    this.released = true
    for (const tid of this.stopped) {
      this.letGo(tid)
      if (detach(tid, tid === this.caller ? this.owed : 0)) this.seized.delete(tid)
    }
    const stopUs = (performance.now() - this.since) * 1000
    for (const tid of [...this.stopped, SELF]) this.disperse(tid)
    for (const tid of this.stopped) this.calm(tid)
    // What is left has died, or will stop some time: until we know of it, it cannot be reaped or go on.
    for (const tid of this.seized) finish(tid, this.reaps(tid), () => this.prepare(tid))
    this.calm(SELF)
    return stopUs
  }

  /** A signal that the caller is to get when it is released. */
  owe(signal: number): void {
    this.owed = signal
  }

  /** The caller runs or has ended: it is let go as soon as it stands still, after `prepare`. */
  giveUpCaller(prepare: () => void): void {
    if (!this.stopped.delete(this.caller)) return
    this.seized.delete(this.caller)
    interrupt(this.caller)
    finish(this.caller, this.reaps(this.caller), () => {
      prepare()
      this.calm(this.caller)
    })
  }

  /** Waits for the caller to stop again. */
  awaitCaller(until: number) {
    return awaitStop(this.caller, until, this.reaps(this.caller), this.affinities.size > 0)
  }

  /** Only where both go before all others: else we would wait for our turn with those. */
  private gather(caller: Tid): void {
    if (!this.policies.has(SELF) || !this.policies.has(caller)) return
    const processor = here()
    for (const tid of [SELF, caller]) {
      const affinity = affinityOf(tid)
      if (affinity === null || !allow(tid, processor)) return this.disperse(SELF, caller)
      this.affinities.set(tid, affinity)
    }
  }

  private disperse(...tids: readonly Tid[]): void {
    for (const tid of tids) {
      const affinity = this.affinities.get(tid)
      if (affinity) allow(tid, affinity)
      this.affinities.delete(tid)
    }
  }

  /** The end of the leader of a child of ours is for kernel/children.ts to see. */
  private reaps(tid: Tid): boolean {
    return this.reapsLeader || Number(tid) !== Number(this.pid)
  }

  /** The last before it is let go. */
  private prepare(tid: Tid): void {
    this.letGo(tid)
    this.disperse(tid)
    this.calm(tid)
  }

  /** Has a call that the stop would end with EINTR be made again. */
  private letGo(tid: Tid): void {
    if (registers.read(tid) && this.restartCall(tid, registers)) registers.write(tid)
  }

  /** Makes the registers of a thread, as they were when it stopped, those of one that goes on as if it had not. True if it changed them. */
  restartCall(tid: Tid, { view }: Registers): boolean {
    return restartInterrupted(view, this.waits.get(tid) ?? [])
  }

  private hurry(tid: Tid): void {
    const policy = hurry(tid)
    if (policy !== null) this.policies.set(tid, policy)
  }

  private calm(tid: Tid): void {
    const policy = this.policies.get(tid)
    if (policy !== undefined) calm(tid, policy)
  }

  private stopFirst(tids: readonly Tid[]): void {
    for (const tid of tids) {
      this.seize(tid)
      this.since = performance.now()
      this.stopSeized()
      if (this.stopped.size > 0 || this.late.size > 0) return
    }
  }

  private stopAll(tids: readonly Tid[]): void {
    for (const tid of tids) this.seize(tid)
    this.since = performance.now()
    this.stopSeized()
    // A thread that still ran may have started another.
    for (let fresh = this.newTids(); fresh.length > 0; fresh = this.newTids()) {
      for (const tid of fresh) {
        if (stateOf(this.pid, tid) === 'D') this.skipped.add(tid)
        else this.seize(tid)
      }
      this.stopSeized()
    }
  }

  private seize(tid: Tid): void {
    if (this.seized.has(tid)) return
    try {
      if (seize(tid)) {
        this.seized.add(tid)
        this.hurry(tid)
        if (registerLayout.interruptedCall === null) this.waits.set(tid, callOf(tid))
      } else this.skipped.add(tid)
    } catch (error) {
      const now = stateOf(this.pid, tid)
      if (now !== null && !'ZX'.includes(now) && failedWith(error, 'EPERM'))
        throw new GraftError('no-right', this.pid, undefined, { cause: error })
      if (!failedWith(error, 'EPERM')) throw error
      this.skipped.add(tid)
    }
  }

  private stopSeized(): void {
    const pending = [...this.seized].filter((tid) => !this.stopped.has(tid) && !this.late.has(tid))
    for (const tid of pending) interrupt(tid)
    const until = performance.now() + STOP_DEADLINE_MS
    for (const tid of pending) this.stop(tid, until)
  }

  /** A thread that is about to get a signal gets it, and stops after that: the interrupt is still due. */
  private stop(tid: Tid, until: number): void {
    for (;;) {
      const stop = awaitStop(tid, until, this.reaps(tid))
      if (stop.kind === 'event') {
        this.stopped.add(tid)
        return
      }
      if (stop.kind === 'late') {
        this.late.add(tid)
        return
      }
      if (stop.kind === 'gone' || !resume(tid, stop.kind === 'signal' ? stop.signal : 0)) {
        this.seized.delete(tid)
        this.skipped.add(tid)
        return
      }
    }
  }

  private newTids(): Tid[] {
    return tidsOf(this.pid).filter((tid) => !this.seized.has(tid) && !this.skipped.has(tid))
  }
}

const registers = new Registers()

const FINISH_LOOK_MS = 2
const SIGTRAP = 5

/** Lets a thread go that did not stop in time, when it does; or takes note of its end. */
function finish(tid: Tid, reaps: boolean, prepare: () => void): void {
  const stop = awaitStop(tid, 0, reaps)
  if (stop.kind === 'gone') return
  if (stop.kind !== 'late') {
    prepare()
    // A SIGTRAP is of our own stepping.
    if (detach(tid, stop.kind === 'signal' && stop.signal !== SIGTRAP ? stop.signal : 0)) return
  }
  setTimeout(() => finish(tid, reaps, prepare), FINISH_LOOK_MS).unref()
}

function tidsOf(pid: Pid): Tid[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((name) => Number(name) as Tid)
  } catch (error) {
    if (failedWith(error, 'ENOENT', 'ESRCH')) throw new GraftError('ended', pid)
    throw error
  }
}

/** `S`, `R`, `D`, …: field 3 of proc_pid_stat(5). Null if it is gone. */
const stateOf = (pid: Pid, tid: Tid): string | null => statOf(`/proc/${pid}/task/${tid}/stat`)?.[0] ?? null
const isOurChild = (pid: Pid): boolean => statOf(`/proc/${pid}/stat`)?.[1] === String(process.pid)

function statOf(path: string): string[] | null {
  try {
    const text = readFileSync(path, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}
