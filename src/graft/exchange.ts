// Putting another open file in the place of a daemon's channel, in all its descriptors, while its threads stand still. Those
// that were reading the old file find the new one when they go on; see stopped-process.ts and remote-calls.ts.
import { openSync } from 'node:fs'
import { fuseFdsOf } from '../kernel/process.js'
import { closeFd } from '../native/descriptor.js'
import { epollEvent, epollOperations } from '../native/epoll.js'
import { failedWith } from '../native/error.js'
import { setNonblocking } from '../native/files.js'
import { pidfdGetfd, pidfdOpen } from '../native/pidfd.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'
import { type Descriptor, describe, epollSetsOf, linkTextOf, type Watch, watchesIn } from './descriptors.js'
import { GraftError } from './error.js'
import { handOver } from './hand-over.js'
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
const O_CLOEXEC = 0o2000000

/**
 * Exchanges every descriptor of these processes that is a channel of the connection: dups, clones, and those that appear
 * meanwhile. `replacement` stays ours as well, and becomes blocking or non-blocking as the channel was.
 * @param pids all processes of the daemon
 * @throws GraftError; a process whose turn it was is as before, those before it have the replacement
 * @throws SyscallError as a call failed in the daemon
 */
export function exchange(pids: readonly Pid[], connection: number, replacement: Fd): Exchanged {
  const fds: { pid: Pid; fd: RemoteFd }[] = []
  let stopUs = 0
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const left = pids.map((pid) => ({ pid, channels: channelsOf(pid, connection) }))
    const pending = left.filter(({ channels }) => channels.length > 0)
    const [first] = pids
    if (pending.length === 0 && fds.length > 0) return { stopUs, fds }
    if (pending.length === 0) throw new GraftError('no-channel', first ?? (0 as Pid))
    for (const { pid, channels } of pending) {
      const done = unlessEnded(() => exchangeFds(pid, channels, replacement))
      stopUs = Math.max(stopUs, done?.stopUs ?? 0)
      fds.push(...(done?.fds ?? []))
    }
  }
  throw new GraftError('keeps-opening', fds[0]?.pid ?? (0 as Pid))
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

const channelsOf = (pid: Pid, connection: number): RemoteFd[] =>
  fuseFdsOf(pid)
    .filter((fuse) => fuse.connection === connection || fuse.connection === null)
    .map(({ fd }) => fd)

/**
 * Exchanges these descriptors of one process, all or none. It stands still as a whole only for that; what is needed before
 * and after is done by one of its threads while the others run.
 * @throws GraftError, SyscallError; the process is as before
 */
export function exchangeFds(pid: Pid, fds: readonly RemoteFd[], replacement: Fd): Exchanged {
  const target = prepare(pid, fds)
  try {
    setNonblocking(
      replacement,
      target.descriptors.some(({ nonblocking }) => nonblocking),
    )
    const there: { fd: RemoteFd | null } = { fd: null }
    const stops: number[] = []
    const stop = (scope: 'all' | 'one', action: (remote: RemoteCalls) => void) =>
      stops.push(whileStopped(target, scope, action))
    try {
      stop('one', (remote) => {
        there.fd = handOver(remote, target.pidfd, replacement)
      })
      stop('all', (remote) => there.fd !== null && replace(remote, there.fd, target))
    } finally {
      if (target.scratch.address !== 0) tidy(() => stop('one', (remote) => cleanUp(remote, there.fd)))
    }
    return { stopUs: Math.max(...stops), fds: fds.map((fd) => ({ pid, fd })) }
  } finally {
    for (const fd of target.opened) closeFd(fd)
  }
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
  /** Copies of the files that are replaced. */
  readonly previous: ReadonlyMap<RemoteFd, Fd>
  /** To be closed in the end. */
  readonly opened: readonly Fd[]
}

function prepare(pid: Pid, fds: readonly RemoteFd[]): Target {
  const opened: Fd[] = []
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
    const previous = new Map(fds.map((fd) => [fd, opening(pidfdGetfd(pidfd, fd))]))
    return { pid, pidfd, memory, instruction, scratch: { address: 0 }, descriptors, sets, previous, opened }
  } catch (error) {
    for (const fd of opened) closeFd(fd)
    if (failedWith(error, 'ESRCH', 'ENOENT')) throw new GraftError('ended', pid, undefined, { cause: error })
    if (failedWith(error, 'EPERM', 'EACCES')) throw new GraftError('no-right', pid, undefined, { cause: error })
    throw error
  }
}

function replace(remote: RemoteCalls, fresh: RemoteFd, target: Target): void {
  const { pid, pidfd, descriptors, sets, previous } = target
  // Only now are they sure not to change.
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
  } catch (error) {
    // Of a process that has ended nothing can be undone.
    for (const action of error instanceof GraftError ? [] : undo.reverse()) action()
    throw error
  }
}

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
