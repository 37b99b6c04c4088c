// The decoy: the mount that a life makes in its own namespace, and by which the kernel gives it its FUSE_INIT.
import { type ServedMount, servedAmong, serversAmong } from '../capture/find-mount.js'
import { waitingRequests } from '../kernel/connection.js'
import { type Mount, ownerOf } from '../kernel/mountinfo.js'
import { pollEvents } from '../native/poll.js'
import type { Pid } from '../native/types.js'
import type { Watcher } from '../native/watch.js'
import { Companion } from '../relay/companions/companion.js'
import { startProber } from '../revive/prober.js'
import { GraftError } from './error.js'
import type { Namespace } from './namespace.js'

export interface DecoyWanted {
  /** The process that was started, isolated already. */
  readonly pid: Pid
  readonly namespace: Namespace
  /** The life's processes, parents first. */
  readonly family: () => readonly Pid[]
  /** Where it is to be, or null for anywhere. */
  readonly mountpoint: string | null
  readonly watcher: Watcher
  /** When to give up. */
  readonly signal: AbortSignal
  /** Called when it is there and has still to answer. */
  readonly mounted?: () => void
  /** Who asks the decoy for an answer, if he is there already; from now on not the caller's any more. */
  readonly asker?: Companion | null
  /** True if the namespace was opened before the life began, and has not been watched yet: each change of it is still told. */
  readonly isFirst?: boolean
}

const FIRST_LOOK_MS = 0.5
const LONGEST_LOOK_MS = 50

/**
 * Waits until the life has mounted its decoy and answered FUSE_INIT on it.
 * @throws GraftError `no-decoy` when the signal comes
 */
export async function awaitDecoy(wanted: DecoyWanted): Promise<ServedMount> {
  let { asker } = wanted
  try {
    for (let isFirst = wanted.isFirst === true; ; isFirst = false) {
      const mounted = await awaitMount(wanted, isFirst)
      wanted.mounted?.()
      asker ??= Companion.start(null)
      await awaitInit(mounted.mount, mounted.connection, wanted, asker)
      const family = wanted.family()
      if (family.length === 1 && family[0] === mounted.server) return mounted
      // A daemon that goes into the background mounts in one process, and answers in another.
      const { connection } = mounted
      const [server] = serversAmong(family, connection)
      if (server !== undefined) return { ...mounted, server }
      asker?.end()
      asker = null
    }
  } finally {
    // The end of a process takes a processor, and the life that has its decoy waits for one.
    setImmediate(() => asker?.end())
  }
}

/**
 * A decoy appears by a change of the namespace's mounts, of which none since its opening is lost. Who has its channel can
 * change without any event, as between fusermount's mount(2) and the moment its parent has received it: only then time.
 */
function awaitMount(wanted: DecoyWanted, isFirst: boolean): Promise<ServedMount> {
  const { pid, namespace, mountpoint, family, watcher, signal } = wanted
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const unwatch = namespace.watch(watcher, () => look())
    const settle = (settled: () => void) => {
      unwatch()
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
      settled()
    }
    const giveUp = () => settle(() => reject(new GraftError('no-decoy', pid)))
    const look = (againMs = FIRST_LOOK_MS) => {
      clearTimeout(timer)
      try {
        const there = namespace.ownMounts(mountpoint)
        if (there.length === 0) return
        const found = servedAmong(there, family())
        if (found) return settle(() => resolve(found))
        timer = setTimeout(() => look(Math.min(againMs * 2, LONGEST_LOOK_MS)), againMs)
      } catch (error) {
        settle(() => reject(error))
      }
    }
    if (signal.aborted) return giveUp()
    signal.addEventListener('abort', giveUp)
    if (!isFirst) look()
  })
}

/**
 * The kernel sends FUSE_INIT within mount(2), so when no request waits it has been answered. Until then a statfs of ours
 * waits behind it; a mount that is not for our user answers that without the daemon, so that it is looked at again.
 */
function awaitInit(
  { mountpoint }: Mount,
  connection: number,
  { signal, pid, namespace, watcher }: DecoyWanted,
  asker: Companion | null,
): Promise<void> {
  const isDone = () => (waitingRequests(connection) ?? 0) === 0
  if (isDone()) return Promise.resolve()
  asker?.askMount(namespace.reach(mountpoint))
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    let unwatch = () => {}
    const settle = (settled: () => void) => {
      unwatch()
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
      settled()
    }
    const giveUp = () => settle(() => reject(new GraftError('no-decoy', pid, 'it did not answer FUSE_INIT')))
    const look = (againMs = FIRST_LOOK_MS) => {
      if (isDone()) return settle(resolve)
      timer = setTimeout(() => look(Math.min(againMs * 2, LONGEST_LOOK_MS)), againMs)
    }
    if (signal.aborted) return giveUp()
    signal.addEventListener('abort', giveUp)
    if (!asker) return look()
    unwatch = watcher.watch(asker.socket, pollEvents.POLLIN, () => {
      unwatch()
      look()
    })
  })
}

/** Since when nobody has the decoy's channel open any more, seen from a request to the decoy. */
export type Abandoned = 'before' | 'meanwhile' | 'never' | 'unknown'

/**
 * Finds out whether anybody still has the decoy's channel: if nobody has, the kernel answers in the daemon's place. `never` if
 * somebody else answers, as a process that nobody knows of, or nobody does until the signal comes. A read that an io_uring
 * began takes the request, and lets go of the channel with that. `unknown` of a mount that is not for our user.
 */
export async function isAbandoned(mount: Mount, namespace: Namespace, signal: AbortSignal): Promise<Abandoned> {
  // Others are answered without the daemon. Source: fs/fuse/dir.c, fuse_allow_current_process.
  if (ownerOf(mount) !== null) return 'unknown'
  const prober = startProber(namespace.reach(mount.mountpoint))
  const kill = () => prober.child.kill()
  signal.addEventListener('abort', kill)
  try {
    return abandonedBy[(await prober.answer) ?? 0] ?? 'never'
  } finally {
    signal.removeEventListener('abort', kill)
  }
}

/** What a connection that is aborted answers, and what it answers to those who waited: fs/fuse/dev.c. */
const abandonedBy: Record<number, Abandoned> = { 107: 'before' /* ENOTCONN */, 103: 'meanwhile' /* ECONNABORTED */ }
