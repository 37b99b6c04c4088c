// The supervisor's entry points: what `keepmount run`, `adopt` and `stop` do once their options are read.
import { constants } from 'node:os'
import { KeepmountError } from '../errors/error.js'
import { Holders, type HoldersOptions } from '../hold/holders.js'
import { reapOrphans } from '../kernel/children.js'
import { isAlive, type ProcessIdentity } from '../kernel/process.js'
import { closeFd } from '../native/descriptor.js'
import { pidfdOpen, pidfdSendSignal } from '../native/pidfd.js'
import { pollEvents } from '../native/poll.js'
import { becomeSubreaper } from '../native/process.js'
import type { Pid } from '../native/types.js'
import { Watcher } from '../native/watch.js'
import { preflight } from '../preflight/index.js'
import { findMount, StateFolder } from '../state/folder.js'
import type { MountRecord } from '../state/record.js'
import { takeUp } from './adoption.js'
import { end } from './end.js'
import type { EventSink } from './events.js'
import { ManagedMount } from './managed-mount.js'
import { holderCount, type MountOptions } from './options.js'

/**
 * Starts the daemon and keeps its mount alive until it is unmounted or this process is told to end. If an earlier
 * supervisor of the same name and command died, its mount is taken up instead.
 * @returns the exit code of the supervisor: the daemon's own, 128+n if signal n ended it, 125 for our own failure
 * @throws KeepmountError if nothing could be started; nothing is left behind then
 */
export async function run(options: MountOptions, emit: EventSink): Promise<number> {
  const folder = acquire(options.name)
  return supervise(folder, async () => {
    const record = folder.read()
    if (record && record.options.argv.join('\0') !== options.argv.join('\0'))
      throw new KeepmountError('NAME_TAKEN', { name: options.name, argv: record.options.argv })
    const taken = record && takeUp(record, folder, emit)
    if (taken) return taken
    const { path, mountpoint } = await preflight(options)
    const startHolders = (hooks: HoldersOptions) => Holders.start(folder.path, holderCount(options), hooks)
    const m = new ManagedMount({ ...options, mountpoint }, path, folder, emit, startHolders)
    m.begin()
    return m
  })
}

/**
 * Takes up the mount of a supervisor that died.
 * @param target a name or a mountpoint
 * @throws KeepmountError NOT_MANAGED, ALREADY_MANAGED, NOTHING_TO_ADOPT
 */
export async function adopt(target: string, emit: EventSink): Promise<number> {
  const { folder, record } = unsupervised(target)
  return supervise(folder, async () => {
    const m = takeUp(record, folder, emit)
    if (m) return m
    folder.remove()
    throw new KeepmountError('NOTHING_TO_ADOPT', { target, reason: 'its mount and its daemon are gone' })
  })
}

/**
 * Ends a managed mount: its daemon, its holders, the mount. Resolves when all of it is gone.
 * @throws KeepmountError NOT_MANAGED
 */
export async function stop(target: string): Promise<void> {
  const known = findMount(target)
  if (!known) throw new KeepmountError('NOT_MANAGED', { target })
  const folder = StateFolder.acquire(known.name)
  if (folder) return stopUnsupervised(folder)
  const supervisor = known.record?.supervisor
  if (!supervisor || !isAlive(supervisor as ProcessIdentity)) throw new KeepmountError('NOT_MANAGED', { target })
  const pidfd = pidfdOpen(supervisor.pid as Pid)
  const watcher = new Watcher()
  try {
    pidfdSendSignal(pidfd, constants.signals.SIGTERM)
    await new Promise<void>((ended) => watcher.watch(pidfd, pollEvents.POLLIN, () => ended()))
  } finally {
    watcher.close()
    closeFd(pidfd)
  }
}

/** A mount whose supervisor died is taken up only to be stopped. */
async function stopUnsupervised(folder: StateFolder): Promise<void> {
  await supervise(folder, async () => {
    const record = folder.read()
    const m = record && takeUp(record, folder, () => {})
    if (m) setImmediate(() => m.dispatch('stop_asked', { signal: constants.signals.SIGTERM }))
    else folder.remove()
    return m
  })
}

function acquire(name: string): StateFolder {
  const folder = StateFolder.acquire(name)
  if (folder) return folder
  const record = findMount(name)?.record
  throw new KeepmountError('ALREADY_MANAGED', {
    name,
    mountpoint: record?.mount?.mountpoint ?? null,
    supervisor: record?.supervisor.pid ?? 0,
  })
}

function unsupervised(target: string): { folder: StateFolder; record: MountRecord } {
  const known = findMount(target)
  if (!known) throw new KeepmountError('NOT_MANAGED', { target })
  if (known.problem) throw known.problem
  const folder = acquire(known.name)
  const record = folder.read()
  if (record) return { folder, record }
  folder.remove()
  throw new KeepmountError('NOT_MANAGED', { target })
}

/**
 * Runs a managed mount until it has ended. Signals that ask us to stop are passed on from the very beginning.
 * @param begin gives the mount, or null if there is nothing to supervise
 */
async function supervise(folder: StateFolder, begin: () => Promise<ManagedMount | null>): Promise<number> {
  let m: ManagedMount | null = null
  let early: NodeJS.Signals | null = null
  const asked = (signal: NodeJS.Signals) => {
    if (m) m.dispatch('stop_asked', { signal: constants.signals[signal] })
    else early = signal
  }
  const reapAll = () => m && reapOrphans(m.leader?.pid)
  for (const signal of stopSignals) process.on(signal, asked)
  process.on('SIGCHLD', reapAll)
  try {
    becomeSubreaper()
    m = await begin()
    if (!m) return 0
    if (early) asked(early)
    return await m.ended
  } catch (error) {
    if (!m) folder.release()
    else if (m.state !== 'ended') {
      // Our own failure is not the mount's: what serves goes on, and can be taken up again.
      if (m.firstAnswer === null) end(m, { error })
      else m.abandon()
    }
    throw error
  } finally {
    for (const signal of stopSignals) process.off(signal, asked)
    process.off('SIGCHLD', reapAll)
    await m?.closing
    // libuv reaps the children that have ended when it next looks at its signals: no zombie is left to others.
    for (let turn = 0; turn < 2; turn++) await new Promise((next) => setImmediate(next))
  }
}

const stopSignals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
