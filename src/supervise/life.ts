// One run of the daemon: the process that serves the channel and those around it. A daemon that forks into the
// background hands its place on to a child; the life ends when nobody serves any more.
import { fdsCalled, linkTextOf } from '../graft/descriptors.js'
import { endOf } from '../kernel/children.js'
import { childrenOf, familyOf, type ProcessIdentity, startTimeOf } from '../kernel/process.js'
import { closeFd } from '../native/descriptor.js'
import { failedWith } from '../native/error.js'
import { pidfdGetfd, pidfdIfAlive, pidfdSendSignal } from '../native/pidfd.js'
import { pollEvents, pollOnce } from '../native/poll.js'
import { type Exit, exitOf } from '../native/process.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'
import type { Unwatch, Watcher } from '../native/watch.js'

const SIGKILL = 9

export class Life {
  private constructor(
    readonly leader: ProcessIdentity,
    private readonly pidfd: Fd,
    private readonly unwatch: Unwatch,
  ) {}

  /**
   * Watches a process as the one that matters. `onExit` is called once, when it has ended.
   * @returns null if there is no such process any more
   */
  static follow(pid: Pid, watcher: Watcher, onExit: (exit: Exit) => void): Life | null {
    const [pidfd] = pidfdIfAlive(pid)
    if (pidfd === undefined) return null
    // A zombie has no start time to show, and its end is still to be told.
    const leader = { pid, startTime: startTimeOf(pid) ?? '' }
    const unwatch = watcher.watch(pidfd, pollEvents.POLLIN, () => {
      unwatch()
      // One that we started may have been reaped before.
      onExit(endOf(pid) ?? exitOf(pidfd, pid))
    })
    return new Life(leader, pidfd, unwatch)
  }

  /** False if it has ended. */
  signal(signal: number): boolean {
    return pidfdSendSignal(this.pidfd, signal)
  }

  /** True if it has ended, or does so within a bound: one that is just dying has no files any more, and still runs. */
  endsWithin(ms: number): boolean {
    return pollOnce(this.pidfd, pollEvents.POLLIN, ms) !== 0
  }

  /** Kills the process and waits, within a bound, until it is gone. */
  kill(): void {
    killAndWait([this.pidfd])
  }

  /** Ends the watch, not the process. */
  release(): void {
    this.unwatch()
    closeFd(this.pidfd)
  }
}

/**
 * The processes that belong to the daemon, parents first: our descendants, but for our own helpers. We are a subreaper,
 * so those that forked away are among them; of an adopted daemon, `leader` and what descends from it.
 */
export function daemonFamily(helpers: ReadonlySet<number>, leader: Pid | null): Pid[] {
  const family = new Set<Pid>(leader === null ? [] : familyOf(leader))
  for (;;) {
    // A process whose parent ends while we look becomes our child behind our back.
    const fresh = childrenOf('self').filter((pid) => !helpers.has(pid) && !family.has(pid))
    if (fresh.length === 0) return [...family]
    for (const pid of fresh.flatMap(familyOf)) family.add(pid)
  }
}

/**
 * Kills what is left of a dead life and waits until it is gone, so that two lives never serve one channel.
 * @param patienceMs how long those may take to end by themselves that have only their input left to work off: that may be
 *   what applications were told is written (sshfs says so when ssh has got it)
 */
export function killFamily(helpers: ReadonlySet<number>, patienceMs = 0): void {
  const pidfds: Fd[] = []
  const living: Fd[] = []
  const ending: Fd[] = []
  try {
    for (const pid of daemonFamily(helpers, null))
      for (const pidfd of pidfdIfAlive(pid)) {
        pidfds.push(pidfd)
        // A zombie, as the dead daemon itself is until it is reaped.
        if (pollOnce(pidfd, pollEvents.POLLIN, 0) !== 0) continue
        living.push(pidfd)
        if (patienceMs > 0 && isEnding(pid, pidfd)) ending.push(pidfd)
      }
    awaitEnd(ending, patienceMs)
    killAndWait(living)
  } finally {
    for (const pidfd of pidfds) closeFd(pidfd)
  }
}

/** True if nobody is left at the other end of a process's own input, and it serves no mount. */
function isEnding(pid: Pid, pidfd: Fd): boolean {
  const input = 0 as RemoteFd
  try {
    if (linkTextOf(pid, input) === linkTextOf(process.pid as Pid, input) || fdsCalled(pid, '/dev/fuse').length > 0)
      return false
    const copy = pidfdGetfd(pidfd, input)
    const events = pollOnce(copy, 0)
    closeFd(copy)
    return (events & pollEvents.POLLHUP) !== 0
  } catch (error) {
    if (failedWith(error, 'ENOENT', 'ESRCH', 'EBADF', 'EPERM', 'EACCES')) return false
    throw error
  }
}

/** @param free takes away what may keep those from ending that have been killed */
export function killAndWait(pidfds: readonly Fd[], free: () => void = () => {}): void {
  for (const pidfd of pidfds) {
    try {
      pidfdSendSignal(pidfd, SIGKILL)
    } catch (error) {
      if (!failedWith(error, 'EPERM')) throw error
    }
  }
  free()
  // One in an uninterruptible sleep dies when its mount's connection is aborted, or later.
  awaitEnd(pidfds, KILL_DEADLINE_MS)
}

function awaitEnd(pidfds: readonly Fd[], withinMs: number): void {
  const deadline = performance.now() + withinMs
  for (const pidfd of pidfds) pollOnce(pidfd, pollEvents.POLLIN, Math.max(0, deadline - performance.now()))
}

const KILL_DEADLINE_MS = 200
