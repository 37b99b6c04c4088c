// Taking up the mount of a supervisor that died: daemon and holders are found by the record it left, each checked against
// what the machine says now. If the daemon died as well, this is a crash like any other.
import { readdirSync } from 'node:fs'
import { serversAmong } from '../capture/find-mount.js'
import { findHolders } from '../hold/holder.js'
import { type HolderRecord, Holders, type HoldersOptions } from '../hold/holders.js'
import { familyOf, fuseFdsOf, isAlive, type ProcessIdentity, startedAt } from '../kernel/process.js'
import { closeFd } from '../native/descriptor.js'
import { pidfdIfAlive } from '../native/pidfd.js'
import type { Pid } from '../native/types.js'
import { findCommand } from '../preflight/command.js'
import type { StateFolder } from '../state/folder.js'
import type { MountRecord } from '../state/record.js'
import { capture } from './capturing.js'
import { followClones } from './clones.js'
import { abortDecoysOf } from './dying.js'
import { end } from './end.js'
import type { EventSink } from './events.js'
import { prepareNextLife } from './grafting.js'
import { killAndWait } from './life.js'
import { ManagedMount } from './managed-mount.js'
import { holderCount } from './options.js'
import { recognize } from './ours.js'
import { follow, lookForMount } from './watching.js'

/**
 * The managed mount as its last supervisor left it, going on.
 * @returns null if neither its mount nor its daemon is there any more; nothing of it is left then but the folder's lock
 * @throws KeepmountError COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE; HolderError `unstartable`
 */
export function takeUp(record: MountRecord, folder: StateFolder, sink: EventSink): ManagedMount | null {
  const path = findCommand(record.options)
  const m = new ManagedMount(
    record.options,
    path,
    folder,
    sink,
    (options) => adoptHolders(record, folder, options),
    record,
  )
  if (record.next) endBegun(record.next as ProcessIdentity, record)
  const server = m.mount ? findServer(m, record) : aliveDaemon(record)
  recognize(m, server)
  const isGone = m.mount ? !m.isMounted() : server === null
  // One that serves a mount that is gone ends by itself, when it has written what it has to; a later life never served it.
  if (server === null && (!isGone || record.state === 'respawning') && record.daemon)
    endBegun(record.daemon as ProcessIdentity, record)
  if (isGone) {
    end(m, { keepFolder: true })
    return null
  }
  m.adopted = true
  m.leader = null
  // The life that was next then may have been served, and have given out its ids.
  if (server === null && record.next) m.number++
  m.startedAt = m.servingSince = performance.now()
  m.watchHolders()
  m.emit('adopted', { daemon_pid: server, holders: m.holders.pids(), previous_supervisor: record.supervisor.pid })
  const dead = (record.daemon?.pid as Pid | undefined) ?? null
  if (m.mount) goOnServing(m, server, dead)
  else goOnStarting(m, server, dead)
  return m
}

function goOnServing(m: ManagedMount, server: Pid | null, dead: Pid | null): void {
  m.state = 'serving'
  if (server === null || !follow(m, server)) return m.dispatch('daemon_exited', { dead })
  if (m.options.revive === 'inherit' && m.holders.channels().length === 0 && !capture(m)) return
  m.enter('serving')
  prepareNextLife(m)
  followClones(m)
}

function goOnStarting(m: ManagedMount, server: Pid | null, dead: Pid | null): void {
  m.timers.arm('start_timeout', m.options.timeoutStartSec * 1000)
  if (server === null || !follow(m, server)) return m.dispatch('daemon_exited', { dead })
  lookForMount(m)
}

function adoptHolders(record: MountRecord, folder: StateFolder, options: HoldersOptions): Holders {
  const onRecord = record.holders as HolderRecord[]
  // One that was being started when the supervisor died is not on record yet.
  const found = findHolders(folder.path).filter(({ pid }) => !onRecord.some((holder) => holder.pid === pid))
  const all = [...onRecord, ...found.map((holder) => ({ ...holder, fds: [] }))]
  return Holders.adopt(folder.path, holderCount(record.options), all, options)
}

/**
 * Ends a life that serves nobody, so that the next one is the only one: it was behind a relay and has lost that with its
 * supervisor, or has just got the word to begin.
 */
function endBegun({ pid, startTime }: ProcessIdentity, { mount }: MountRecord): void {
  // Also one that has been killed and waits for itself: then its first thread may have ended.
  if (startedAt(pid) !== startTime) return
  const family = familyOf(pid)
  const pidfds = family.flatMap(pidfdIfAlive)
  killAndWait(pidfds, () => {
    for (const pid of family) abortDecoysOf(pid, mount)
  })
  for (const pidfd of pidfds) closeFd(pidfd)
}

const aliveDaemon = ({ daemon }: MountRecord): Pid | null =>
  daemon && isAlive(daemon as ProcessIdentity) ? (daemon.pid as Pid) : null

/** Who serves the mount now: the daemon on record, or whoever else has its channel open, but for holders and us. */
function findServer(m: ManagedMount, record: MountRecord): Pid | null {
  const connection = m.mount?.connection ?? 0
  const recorded = aliveDaemon(record)
  if (recorded !== null && serversAmong([recorded], connection).length > 0) return recorded
  const helpers = m.helpers()
  const others = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => Number(name) as Pid)
    .filter((pid) => pid !== process.pid && !helpers.has(pid))
  const servers = serversAmong(others, connection)
  if (m.holders.living().length === 0) return servers[0] ?? null
  // Whoever has kept the channel of a mount that is gone shows its number still, which may be this mount's by now.
  return servers.find((pid) => fuseFdsOf(pid).some(({ fd }) => m.holders.isHeld(pid, fd))) ?? null
}
