// The decoy: the mount that a life makes in its own namespace, and by which the kernel gives it its FUSE_INIT.
import { closeSync, openSync, readlinkSync } from 'node:fs'
import { type ServedMount, servedAmong } from '../capture/find-mount.js'
import { waitingRequests } from '../kernel/connection.js'
import { isFuse, type Mount, readMounts } from '../kernel/mountinfo.js'
import { pollEvents } from '../native/poll.js'
import type { Pid } from '../native/types.js'
import type { Watcher } from '../native/watch.js'
import { startProber } from '../revive/prober.js'
import { GraftError } from './error.js'

/**
 * @param family the life's processes, parents first
 * @param mountpoint where it is to be, or null for anywhere
 * @returns null as long as there is none
 */
export const findDecoy = (family: readonly Pid[], mountpoint: string | null): ServedMount | null =>
  servedAmong(candidates(family, mountpoint), family)

/** The FUSE mounts there that may be the decoy. What we see as well is a copy of a mount of ours. */
function candidates(family: readonly Pid[], mountpoint: string | null): Mount[] {
  const there = mountsOfAny(family).filter(
    (mount) => isFuse(mount.type) && (mountpoint === null || mount.mountpoint === mountpoint),
  )
  if (there.length === 0) return []
  const ours = new Set(readMounts().map(({ device }) => device))
  return there.filter(({ device }) => !ours.has(device))
}

export interface DecoyWanted {
  /** The process that was started, isolated already. */
  readonly pid: Pid
  readonly family: () => readonly Pid[]
  readonly mountpoint: string | null
  readonly watcher: Watcher
  /** When to give up. */
  readonly signal: AbortSignal
}

const FIRST_LOOK_MS = 0.5
const LONGEST_LOOK_MS = 50

/**
 * Waits until the life has mounted its decoy and answered FUSE_INIT on it.
 * @throws GraftError `no-decoy` when the signal comes, `ended` if there is no such process any more
 */
export async function awaitDecoy(wanted: DecoyWanted): Promise<ServedMount> {
  const decoy = await awaitMount(wanted)
  await awaitInit(decoy, wanted)
  // A daemon that goes into the background mounts in one process, and answers in another.
  return findDecoy(wanted.family(), wanted.mountpoint) ?? decoy
}

function awaitMount({ pid, family, mountpoint, watcher, signal }: DecoyWanted): Promise<ServedMount> {
  return new Promise((resolve, reject) => {
    // Open, it shows the life's namespace as long as we want, and keeps it: it is closed whatever comes.
    let table: number
    try {
      table = openSync(`/proc/${pid}/mountinfo`, 'r')
    } catch (error) {
      reject(new GraftError('ended', pid, undefined, { cause: error }))
      return
    }
    let timer: NodeJS.Timeout | undefined
    const unwatch = watcher.watch(table, pollEvents.POLLPRI, () => look())
    const settle = (settled: () => void) => {
      unwatch()
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
      closeSync(table)
      settled()
    }
    const giveUp = () => settle(() => reject(new GraftError('no-decoy', pid)))
    // Between fusermount's mount(2) and the moment its parent has received the channel there is no event: only then time.
    const look = (againMs = FIRST_LOOK_MS) => {
      clearTimeout(timer)
      try {
        const found = findDecoy(family(), mountpoint)
        if (found) return settle(() => resolve(found))
        if (candidates(family(), mountpoint).length === 0) return
        timer = setTimeout(() => look(Math.min(againMs * 2, LONGEST_LOOK_MS)), againMs)
      } catch (error) {
        settle(() => reject(error))
      }
    }
    if (signal.aborted) return giveUp()
    signal.addEventListener('abort', giveUp)
    look()
  })
}

/**
 * The kernel sends FUSE_INIT within mount(2), so when no request waits it has been answered. Until then a statfs of ours
 * waits behind it; a mount that is not for our user answers that without the daemon, so that it is looked at again.
 */
function awaitInit({ mount, connection, server }: ServedMount, { signal, pid }: DecoyWanted): Promise<void> {
  const isDone = () => (waitingRequests(connection) ?? 0) === 0
  if (isDone()) return Promise.resolve()
  const prober = startProber(`/proc/${server}/root${mount.mountpoint}`)
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const settle = (settled: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
      prober.child.kill('SIGKILL')
      settled()
    }
    const giveUp = () => settle(() => reject(new GraftError('no-decoy', pid, 'it did not answer FUSE_INIT')))
    const look = (againMs = FIRST_LOOK_MS) => {
      if (isDone()) return settle(resolve)
      timer = setTimeout(() => look(Math.min(againMs * 2, LONGEST_LOOK_MS)), againMs)
    }
    if (signal.aborted) return giveUp()
    signal.addEventListener('abort', giveUp)
    void prober.answer.then(() => look())
  })
}

/**
 * The mounts that a life sees, by the first of its processes that still has its namespace. A process that shares ours is
 * none of the life's: a child of ours that asked a mount and cannot end yet.
 */
function mountsOfAny(family: readonly Pid[]): Mount[] {
  const ours = namespaceOf('self')
  for (const pid of family) {
    const namespace = namespaceOf(pid)
    if (namespace === null || namespace === ours) continue
    try {
      const mounts = readMounts(pid)
      if (mounts.length > 0) return mounts
    } catch {
      // It has ended meanwhile: another one may have taken over.
    }
  }
  return []
}

/** Null if the process is gone. */
function namespaceOf(pid: Pid | 'self'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`)
  } catch {
    return null
  }
}

const ENOTCONN = 107

/**
 * True if nobody has the decoy's channel open any more: then it answers at once that it is dead. False if it is silent, as
 * when an io_uring or a process that nobody knows of still reads the channel.
 */
export async function isAbandoned({ mount, server }: ServedMount, signal: AbortSignal): Promise<boolean> {
  const prober = startProber(`/proc/${server}/root${mount.mountpoint}`)
  const kill = () => prober.child.kill('SIGKILL')
  signal.addEventListener('abort', kill)
  try {
    return (await prober.answer) === ENOTCONN
  } finally {
    signal.removeEventListener('abort', kill)
  }
}
