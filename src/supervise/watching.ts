// What the supervisor sees happen outside, and which event of the state machine that is.
import { findServedMount, mountKey, mountKeys } from '../capture/find-mount.js'
import { channelFdsOf, takeFd } from '../capture/take-channels.js'
import { KeepmountError } from '../errors/error.js'
import type { HeldChannel, Replacement } from '../hold/holders.js'
import { readFuseMounts } from '../kernel/mountinfo.js'
import { hidesFds, startTimeOf, waitChannelsOf } from '../kernel/process.js'
import { duplicateFd } from '../native/descriptor.js'
import { failedWith } from '../native/error.js'
import type { Exit } from '../native/process.js'
import type { Fd, Pid } from '../native/types.js'
import { likelyMountpoint } from '../preflight/mountpoint.js'
import { daemonFamily, Life } from './life.js'
import type { ManagedMount } from './managed-mount.js'
import { know } from './ours.js'
import { serversOf } from './server.js'
import { Standby } from './standby.js'

/** The kernel's mount table has changed. */
export function mountTableChanged(m: ManagedMount): void {
  void m.follower?.hostChanged()
  Standby.renew(m)
  if (m.state === 'starting') return lookForMount(m)
  if (m.state === 'leaving' || m.state === 'stopping' || m.state === 'ended') return
  if (m.mount && !m.isMounted()) return m.dispatch('unmounted')
  if (m.state === 'proving' && m.options.revive === 'inherit') refuseSecondMount(m)
}

const FIRST_LOOK_MS = 1
const LONGEST_LOOK_MS = 50

/**
 * Looks whether the daemon has mounted. Between fusermount's mount(2) and the moment its parent has received the
 * channel nothing is there to wait for, so a mount without a server is looked at again.
 */
export function lookForMount(m: ManagedMount, againMs = FIRST_LOOK_MS): void {
  if (m.state !== 'starting') return
  const again = () => setTimeout(() => m.guard(() => lookForMount(m, Math.min(againMs * 2, LONGEST_LOOK_MS))), againMs)
  const leader = m.adopted ? ((m.leader?.pid ?? null) as Pid | null) : null
  const found = findServedMount(m.mountsBefore, daemonFamily(m.helpers(), leader), m.options.mountpoint)
  if (found) {
    const { mount, server } = found
    know(m, mount)
    // Who had the channel, as fusermount has for an instant, may have let go of it or ended before it could be taken.
    if (server !== m.leader?.pid && !follow(m, server)) return void again()
    m.dispatch('mounted')
    if (m.state === 'starting') again()
  } else if ([...mountKeys(readFuseMounts())].some((key) => !m.mountsBefore.has(key))) {
    const pid = m.leader?.pid as Pid | undefined
    if (pid !== undefined && hidesFds(pid)) {
      knowByPlace(m)
      throw new KeepmountError('NO_RIGHT_TO_CAPTURE', { pid, reason: 'its open files may not be seen' })
    }
    again()
  }
}

/** Of a daemon whose channel cannot be seen, the mount is known by its place alone; so it can be unmounted at least. */
function knowByPlace(m: ManagedMount): void {
  const place = m.options.mountpoint ?? likelyMountpoint(m.options)
  const found = readFuseMounts().findLast(({ mountpoint }) => mountpoint === place)
  if (found && !m.mountsBefore.has(mountKey(found))) know(m, found)
}

/** The process that mattered has ended: the life goes on in another one, or it is over. */
export function leaderExited(m: ManagedMount, exit: Exit): void {
  // How a process ended that was not our child, as fusermount, cannot always be told.
  const isInOrder = exit.code === 0 || (exit.code === null && exit.signal === null)
  if (isInOrder && m.leader && m.state !== 'stopping' && m.state !== 'leaving') {
    const gone = m.leader.pid
    const rest = daemonFamily(m.helpers(), null).filter((pid) => pid !== gone && startTimeOf(pid) !== null)
    const isComing = m.state === 'starting' || m.state === 'respawning'
    const heirs = isComing || !m.mount ? rest : serversOf(m, rest).map(({ pid }) => pid)
    if (heirs.some((pid) => follow(m, pid))) {
      // It may have ended while its channel was being taken, when the mount had been found already.
      if (m.state === 'starting') lookForMount(m)
      return
    }
  }
  m.lastExit = exit
  m.hurry(() => m.dispatch('daemon_exited', { exit }))
}

/** Makes another process the one that matters, and puts it on record. False if it is gone. */
export function follow(m: ManagedMount, pid: Pid): boolean {
  const life = Life.follow(pid, m.watcher, (exit) => m.guard(() => leaderExited(m, exit)))
  if (!life) return false
  m.life?.release()
  m.life = life
  m.leader = life.leader
  m.save()
  return true
}

/** A holder has died: its channels live in the other one, or in the daemon. */
export function holderDied(m: ManagedMount, pid: Pid): void {
  m.holders.replace(pid)
}

/** The group has put a new holder in the place of one that was dead or silent. */
export function holderReplaced(m: ManagedMount, { dead, by, lost }: Replacement): void {
  m.unwatchHolder(dead)
  m.emit('holder_replaced', { dead_pid: dead, holder_pid: by.pid })
  // Of a group that is just being adopted the rest is done when it is whole.
  if (!m.holders) return
  m.watchHolders()
  m.save()
  if (lost.some((held) => held === m.holders.channels()[0])) m.dispatch('channel_lost')
}

/** A copy of a channel from the daemon itself, for the case that no holder has it any more. */
export function channelOfDaemon(m: ManagedMount, held: HeldChannel): Fd | null {
  if (!m.mount || !m.leader) return null
  // Behind a relay the daemon has a socket, and the relay the channel.
  if (m.graft) return duplicateFd(m.graft.line.channel)
  const pid = m.leader.pid
  const present = channelFdsOf(pid, m.mount.connection)
  // A clone that the daemon has closed since is served by the first one; the next look puts it right.
  const remote = present[m.holders?.channels().indexOf(held) ?? 0] ?? present[0]
  try {
    return remote === undefined ? null : takeFd(pid, remote)
  } catch (error) {
    if (failedWith(error, 'ESRCH', 'EBADF')) return null
    throw error
  }
}

/** A stock daemon that was handed the channel knows nothing of it and mounts a second time, over the first. */
function refuseSecondMount(m: ManagedMount): void {
  // The first life was handed nothing, and the mount it made is the mount.
  if (m.number === 1) return
  const second = findServedMount(m.mountsBefore, daemonFamily(m.helpers(), null), m.mount?.mountpoint ?? null)
  if (!second) return
  m.strays.add(mountKey(second.mount))
  m.dispatch('refused', {
    reason: 'stock-daemon',
    detail: 'it mounted a second time instead of serving the channel it was handed',
  })
}

/**
 * A stock daemon looks at its mountpoint before it mounts, and so waits for itself. That is looked at when a life takes
 * much longer than the first one did; a daemon that only is slow waits for something else.
 */
export function suspectStock(m: ManagedMount): void {
  const number = m.number
  const look = () => {
    if (m.state !== 'proving' || m.number !== number || !m.leader) return
    const waits = daemonFamily(m.helpers(), null).some((pid) =>
      waitChannelsOf(pid).some((name) => waitsForFuse.test(name)),
    )
    if (waits)
      m.dispatch('refused', {
        reason: 'stock-daemon',
        detail: 'it waits for an answer of the mount that it is to serve',
      })
    else setTimeout(look, patience).unref()
  }
  const patience = Math.max(LEAST_PATIENCE_MS, SLOWER_THAN_FIRST * m.firstStartMs)
  setTimeout(look, patience).unref()
}

const LEAST_PATIENCE_MS = 1000
const SLOWER_THAN_FIRST = 5
/** Where a process sleeps that has sent a FUSE request: fs/fuse/dev.c. */
const waitsForFuse = /^(request_wait_answer|__fuse_request_send|fuse_get_req)/
