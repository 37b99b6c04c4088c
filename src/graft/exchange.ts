// Putting another open file in the place of a daemon's channel, in all its descriptors, while its threads stand still. Those
// that were reading the old file find the new one when they go on; see stopped-process.ts and remote-calls.ts.
import { openSync, readdirSync } from 'node:fs'
import { fuseFdsOf, mayServe } from '../kernel/process.js'
import { closeFd } from '../native/descriptor.js'
import { epollEvent, epollOperations } from '../native/epoll.js'
import { failedWith, SyscallError } from '../native/error.js'
import { setNonblocking } from '../native/files.js'
import { pidfdGetfd, pidfdIfAlive, pidfdOpen } from '../native/pidfd.js'
import { pollEvents, pollOnce } from '../native/poll.js'
import { isSameFile } from '../native/process.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'
import { type Descriptor, describe, epollSetsOf, linkTextOf, type Watch, watchesIn } from './descriptors.js'
import { GraftError } from './error.js'
import { fetched, handOver } from './hand-over.js'
import { RemoteCalls, type Scratch } from './remote-calls.js'
import { StoppedProcess } from './stopped-process.js'
import { syscallInstructionOf } from './vdso.js'

export interface Exchanged {
  /** The longest time that a process stood still, in microseconds. */
  readonly stopUs: number
  /** Where the replacement is now. */
  readonly fds: readonly { readonly pid: Pid; readonly fd: RemoteFd }[]
}

/** A daemon opens no more clones than this while it is looked at. */
const MOST_PASSES = 10
/** So long a process may take to give its memory back. */
const ENDING_MS = 100
const O_CLOEXEC = 0o2000000
/** To stop a thread takes longer than a call in it. */
const FEW_THREADS = 4

/** Finds descriptors in a process that are to get another file; none in one that has ended. */
export type Find = (pid: Pid) => RemoteFd[]

/** The channels of a connection: dups, clones. */
export const channelsOf =
  (connection: number): Find =>
  (pid) =>
    fuseFdsOf(pid)
      .filter((fuse) => mayServe(fuse, connection))
      .map(({ fd }) => fd)

/**
 * Exchanges every descriptor that is found in the processes of a daemon, those included that appear meanwhile, and in
 * processes that do: it is done when all have been looked through and none was found. `replacement` stays ours as well, and
 * becomes blocking or non-blocking as the file before it was.
 * @param family all processes of the daemon as they are now; looked up again after each pass
 * @throws GraftError, `no-channel` if none was found; SyscallError as a call failed in the daemon. All is as before then
 */
export function exchange(family: () => readonly Pid[], find: Find, replacement: Fd): Exchanged {
  const done: Done[] = []
  let stopUs = 0
  try {
    for (let pass = 0; pass < MOST_PASSES; ) {
      const before = done.length
      const pids = family()
      const pending = pids.map((pid) => ({ pid, found: find(pid) })).filter(({ found }) => found.length > 0)
      if (pending.length === 0 && done.length > 0) return { stopUs, fds: done.map(({ pid, fd }) => ({ pid, fd })) }
      if (pending.length === 0) throw new GraftError('no-channel', pids[0] ?? (0 as Pid))
      const ending: Pid[] = []
      for (const { pid, found } of pending) {
        const took = exchangeIn(pid, found, replacement, done)
        if (took === null) ending.push(pid)
        else stopUs = Math.max(stopUs, took)
      }
      // One that is ending, as a daemon's parent does, has its descriptors for a while still, and cannot be stopped any more.
      const areEnding = ending.length > 0 && done.length === before
      if (!areEnding || !ending.every((pid) => endsWithin(pid, ENDING_MS))) pass++
    }
    throw new GraftError('keeps-opening', done[0]?.pid ?? (0 as Pid))
  } catch (error) {
    for (const { pid, fd, previous } of done.toReversed()) putBack(pid, fd, previous)
    throw error
  } finally {
    for (const { previous } of done) closeFd(previous)
  }
}

function endsWithin(pid: Pid, ms: number): boolean {
  const [pidfd] = pidfdIfAlive(pid)
  if (pidfd === undefined) return true
  const events = pollOnce(pidfd, pollEvents.POLLIN, ms)
  closeFd(pidfd)
  return events !== 0
}

/** A descriptor that has another file now, and a copy of the one before. */
interface Done {
  readonly pid: Pid
  readonly fd: RemoteFd
  readonly previous: Fd
}

/** @returns how long the process stood still, in microseconds; null for one that has ended */
function exchangeIn(pid: Pid, fds: readonly RemoteFd[], replacement: Fd, done: Done[]): number | null {
  return unlessEnded(() =>
    withTarget(pid, fds, (target) => {
      const { stopUs, fds: replaced } = exchangeOf(target, replacement)
      for (const { fd } of replaced) {
        const previous = target.previous.get(fd)
        if (previous !== undefined) done.push({ pid, fd, previous })
        target.previous.delete(fd)
      }
      return stopUs
    }),
  )
}

/** One that cannot be put back reads from a socket whose other end is closed, and ends. */
function putBack(pid: Pid, fd: RemoteFd, previous: Fd): void {
  try {
    exchangeFds(pid, [fd], previous)
  } catch (error) {
    if (!(error instanceof GraftError || error instanceof SyscallError)) throw error
  }
}

/** What a failed look at a process says of it. */
function explained(error: unknown, pid: Pid): unknown {
  if (failedWith(error, 'ESRCH', 'ENOENT')) return new GraftError('ended', pid, undefined, { cause: error })
  if (failedWith(error, 'EPERM', 'EACCES')) return new GraftError('no-right', pid, undefined, { cause: error })
  if (failedWith(error, 'EBADF')) return new GraftError('no-channel', pid, undefined, { cause: error })
  return error
}

/** A daemon that goes into the background has a process that ends just then. */
function unlessEnded<T>(action: () => T): T | null {
  try {
    return action()
  } catch (error) {
    if (error instanceof GraftError && error.reason === 'ended') return null
    throw error
  }
}

/**
 * Exchanges these descriptors of one process, all or none, but for those that it has closed meanwhile. It stands still as a
 * whole only for that; where it takes more, or the threads are many, one of them does the rest while the others run.
 * @throws GraftError, SyscallError; the process is as before
 */
export const exchangeFds = (pid: Pid, fds: readonly RemoteFd[], replacement: Fd): Exchanged =>
  withTarget(pid, fds, (target) => exchangeOf(target, replacement))

function exchangeOf(target: Target, replacement: Fd): Exchanged {
  const { pid } = target
  setNonblocking(
    replacement,
    target.descriptors.some(({ nonblocking }) => nonblocking),
  )
  const there: { fd: RemoteFd | null } = { fd: null }
  let replaced: readonly RemoteFd[] = []
  const stops: number[] = []
  const stop = (scope: 'all' | 'one', action: (remote: RemoteCalls) => void) =>
    stops.push(whileStopped(target, scope, action))
  const putThere = (remote: RemoteCalls): void => {
    there.fd = fetched(remote, pid, replacement)
  }
  const replaceByIt = (remote: RemoteCalls): void => {
    if (there.fd !== null) replaced = replace(remote, there.fd, target)
  }
  let isDone = false
  try {
    if (target.isQuick)
      stop('all', (remote) => {
        putThere(remote)
        replaceByIt(remote)
        if (there.fd === null) return
        remote.raw('close', [there.fd])
        there.fd = null
        isDone = true
      })
    if (!isDone) {
      stop('one', (remote) => {
        if (!target.isQuick) putThere(remote)
        there.fd ??= handOver(remote, target.pidfd, replacement)
        if (target.sets.length > 0) remote.scratch()
      })
      stop('all', replaceByIt)
    }
  } finally {
    if (target.scratch.address !== 0 || there.fd !== null)
      tidy(() => stop('one', (remote) => cleanUp(remote, there.fd)))
  }
  return { stopUs: Math.max(...stops), fds: replaced.map((fd) => ({ pid, fd })) }
}

/** @returns how long it stood still, in microseconds */
function whileStopped(target: Target, scope: 'all' | 'one', action: (remote: RemoteCalls) => void): number {
  const process = new StoppedProcess(target.pid, scope)
  let stopUs: number
  try {
    const remote = new RemoteCalls(process, target.instruction, target.memory, target.scratch)
    try {
      action(remote)
    } finally {
      remote.end()
    }
  } finally {
    stopUs = process.release()
  }
  return stopUs
}

function cleanUp(remote: RemoteCalls, fd: RemoteFd | null): void {
  if (fd !== null) remote.raw('close', [fd])
  remote.freeScratch()
}

/** What ended or does not stop any more keeps what there is to tidy up; that must not hide how it came to that. */
function tidy(action: () => void): void {
  try {
    action()
  } catch (error) {
    if (!(error instanceof GraftError)) throw error
  }
}

/** All that is to be known and open before the process is stopped. */
interface Target {
  readonly pidfd: Fd
  readonly memory: Fd
  readonly pid: Pid
  readonly instruction: number
  readonly scratch: Scratch
  readonly descriptors: readonly Descriptor[]
  readonly sets: readonly RemoteFd[]
  /** It has so few threads, and nothing besides its descriptors to change, that all can be done in one stop. */
  readonly isQuick: boolean
  /** Copies of the files that are replaced. Closed in the end, but for those that are taken out. */
  readonly previous: Map<RemoteFd, Fd>
}

/** @throws GraftError `ended`, `no-right`, `no-channel`, and what the action throws */
function withTarget<T>(pid: Pid, fds: readonly RemoteFd[], action: (target: Target) => T): T {
  const opened: Fd[] = []
  const previous = new Map<RemoteFd, Fd>()
  try {
    return action(prepare(pid, fds, previous, opened))
  } finally {
    for (const fd of [...opened, ...previous.values()]) closeFd(fd)
  }
}

/** @param opened gets what is to be closed in the end */
function prepare(pid: Pid, fds: readonly RemoteFd[], previous: Map<RemoteFd, Fd>, opened: Fd[]): Target {
  const opening = (fd: number): Fd => {
    opened.push(fd as Fd)
    return fd as Fd
  }
  try {
    const descriptors = fds.map((fd) => describe(pid, fd))
    const sets = epollSetsOf(pid, new Set(fds.map((fd) => linkTextOf(pid, fd))))
    const instruction = syscallInstructionOf(pid)
    const memory = opening(openSync(`/proc/${pid}/mem`, 'r+'))
    const pidfd = opening(pidfdOpen(pid))
    for (const fd of fds) previous.set(fd, pidfdGetfd(pidfd, fd))
    const isQuick = sets.length === 0 && readdirSync(`/proc/${pid}/task`).length <= FEW_THREADS
    return { pid, pidfd, memory, instruction, scratch: { address: 0 }, descriptors, sets, isQuick, previous }
  } catch (error) {
    throw explained(error, pid)
  }
}

/** @returns which of the descriptors have the other file now */
function replace(remote: RemoteCalls, fresh: RemoteFd, target: Target): RemoteFd[] {
  const { pid, pidfd, sets, previous } = target
  // Only now are they sure not to change. A number that has been closed may be another file's.
  const descriptors = target.descriptors.filter(({ fd }) => isStillThere(pid, fd, previous.get(fd)))
  const watches = watchesIn(pid, sets, new Set<number>(descriptors.map(({ fd }) => fd)))
  const undo: (() => void)[] = []
  try {
    // Entries are known by file and number: they must go before the number means another file. One set can have two
    // numbers, and then its entries are found gone the second time.
    const removed = watches.filter((watch) => {
      const isGone = unwatch(remote, watch)
      if (isGone) undo.push(() => rewatch(remote, watch))
      return isGone
    })
    for (const descriptor of descriptors) {
      const before = previous.get(descriptor.fd)
      putInPlace(remote, fresh, descriptor)
      undo.push(() => before !== undefined && restore(remote, pidfd, before, descriptor))
    }
    for (const watch of removed) {
      rewatch(remote, watch)
      undo.push(() => unwatch(remote, watch))
    }
    return descriptors.map(({ fd }) => fd)
  } catch (error) {
    // Of a process that has ended nothing can be undone.
    for (const action of error instanceof GraftError ? [] : undo.reverse()) action()
    throw error
  }
}

/** True if the descriptor is what it was when it was copied, and where that can't be told. */
const isStillThere = (pid: Pid, fd: RemoteFd, copy: Fd | undefined): boolean =>
  copy !== undefined && isSameFile(pid, fd, process.pid as Pid, copy, true)

const putInPlace = (remote: RemoteCalls, file: RemoteFd, { fd, cloexec }: Descriptor): void => {
  remote.call('dup3', file, fd, cloexec ? O_CLOEXEC : 0)
}

function restore(remote: RemoteCalls, pidfd: Fd, file: Fd, descriptor: Descriptor): void {
  const again = handOver(remote, pidfd, file)
  try {
    putInPlace(remote, again, descriptor)
  } finally {
    remote.raw('close', [again])
  }
}

/** False if it was not there. */
const unwatch = (remote: RemoteCalls, { set, fd }: Watch): boolean =>
  remote.raw('epoll_ctl', [set, epollOperations.EPOLL_CTL_DEL, fd, 0]) === 0

function rewatch(remote: RemoteCalls, { set, fd, events, data }: Watch): void {
  remote.call('epoll_ctl', set, epollOperations.EPOLL_CTL_ADD, fd, remote.give(epollEvent(events, data)))
}
