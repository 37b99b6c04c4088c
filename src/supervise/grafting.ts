// Reviving a stock daemon: its next life starts in a mount namespace of its own and mounts a decoy, gets a relay in the
// place of the decoy's channel, and in the end, when no id of an earlier life is in use, the mount's own channel.
import type { ServedMount } from '../capture/find-mount.js'
import { fdsCalled } from '../graft/descriptors.js'
import { GraftError } from '../graft/error.js'
import { channelsOf, type Exchanged, exchange } from '../graft/exchange.js'
import { HostFollower } from '../graft/host-follower.js'
import { warmUp } from '../graft/warm-up.js'
import { mountTable } from '../kernel/mountinfo.js'
import { closeFd } from '../native/descriptor.js'
import { SyscallError } from '../native/error.js'
import type { Fd, Pid } from '../native/types.js'
import { HAS_ROOM } from '../relay/in-use/scan.js'
import { Relay } from '../relay/index.js'
import { resend } from '../settle/resend.js'
import { settle } from '../settle/settle.js'
import { beginLife } from './beginning.js'
import { takeChannel } from './capturing.js'
import { tenths } from './events.js'
import { healWhenPossible } from './healing.js'
import { daemonFamily } from './life.js'
import { excluded, Line } from './line.js'
import type { ManagedMount } from './managed-mount.js'
import { begin, bringUp, DYING_MS, notGrafted } from './seeking.js'
import { launchNext, Standby } from './standby.js'

/** How long the namespace of a life is kept after its end. */
const KEPT_MS = 100

/** A life that is served through a relay. */
export interface Graft {
  readonly line: Line
  readonly stopUs: number
  readonly since: number
  /** What the daemon has answered through the relay, 0 or an errno; null if the relay has ended before. */
  readonly answered: Promise<number | null>
}

/** Has all that can be had ready before the next crash: a pause is made of starting things more than of anything else. */
export function prepareNextLife(m: ManagedMount): void {
  if (m.options.revive !== 'graft') return
  usableRelay(m).prepareProcesses()
  Standby.prepare(m)
}

function usableRelay(m: ManagedMount): Relay {
  if (m.relay?.isUsable) return m.relay
  const relay = Relay.prepare()
  relay.onReport((what, facts) => m.emit('noted', { what, facts }))
  m.relay = relay
  void warmUp()
  return relay
}

/** Settles the requests in flight and starts the next life up to its decoy. */
export function respawnGrafted(m: ManagedMount): void {
  const channel = takeChannel(m)
  if (channel === null || !m.mount) return m.dispatch('channel_lost')
  const { mountpoint, device, connection } = m.mount
  try {
    const settled = settle(channel, connection, mountpoint, m.options.inFlight)
    if (m.pause) m.pause.settled = settled.policy
  } finally {
    closeFd(channel)
  }
  const table = mountTable()
  const waiting = Standby.take(m, table)
  if (waiting?.namespace) waiting.launched.go()
  m.state = 'respawning'
  m.follower = new HostFollower(() => (m.leader?.pid ?? null) as Pid | null, table)
  const launched = waiting?.launched ?? launchNext(m, table, device)
  beginLife(m, launched)
  m.timers.arm('start_timeout', m.options.timeoutStartSec * 1000)
  const relay = usableRelay(m)
  const scan = () => relay.scan(device, excluded(m))
  const begun = (): void => {
    if (HAS_ROOM) scan()
  }
  const mounted = (): void => {
    if (m.pause?.settled !== 'resend') return HAS_ROOM ? undefined : scan()
    m.line ??= Line.open(m)
    void m.line?.begin(m, true)
  }
  if (waiting?.namespace) begin(m, waiting, { begun, mounted })
  else void bringUp(m, launched, waiting?.asker ?? null, { begun, mounted })
}

/**
 * Puts the relay between the kernel and the life. Where what it has read can be sent again, it has begun before that.
 */
export function graft(m: ManagedMount, decoy: ServedMount): void {
  const line = m.line ?? Line.open(m)
  m.line = null
  if (line === null) return m.dispatch('channel_lost')
  const { relay } = line
  let exchanged: Exchanged
  try {
    exchanged = exchange(() => daemonFamily(m.helpers(), null), channelsOf(decoy.connection), line.theirs)
  } catch (error) {
    return withdraw(m, line, () => notGrafted(m, error))
  }
  const answered = line.begin(m, false)
  line.handedOver()
  m.graft = { line, stopUs: exchanged.stopUs, since: performance.now(), answered }
  m.namespace ??= m.seeking?.namespace.copy() ?? null
  void relay.ended.then((end) => {
    if (m.graft?.line !== line) return
    if (end.by === 'channel')
      return m.dispatch('channel_closed', { unmounted: m.isMounted() ? 'aborted' : 'unmounted' })
    const detail = end.by === 'error' ? end.error.message : end.by
    m.dispatch('relay_ended', { detail })
  })
}

/** Takes back a line that no life has come to serve. What its relay has read comes again to whoever is served next. */
function withdraw(m: ManagedMount, line: Line, then: () => void): void {
  line.withdraw(m)
  if (!line.answered) return then()
  const { number } = m
  void m.closing.then(() =>
    m.guard(() => {
      if (m.number !== number || m.state !== 'respawning') return
      const channel = takeChannel(m)
      if (channel === null) return m.dispatch('channel_lost')
      resend(channel)
      closeFd(channel)
      then()
    }),
  )
}

/** Takes the relay of a life away. */
export function endGraft(m: ManagedMount): void {
  m.seeking?.end()
  m.seeking = null
  m.follower = null
  m.line?.withdraw(m)
  m.line = null
  const { graft, namespace } = m
  m.graft = null
  m.healing = null
  graft?.line.end(m)
  m.namespace = null
  // The next life comes first; for long it must not keep what goes on the host.
  if (namespace) setTimeout(() => namespace.close(), KEPT_MS).unref()
}

/** Takes the relay away for good, and all that was prepared for a next life. */
export function endRelay(m: ManagedMount): void {
  endGraft(m)
  m.standby?.end()
  m.standby = null
  const { relay } = m
  m.relay = null
  if (relay) m.closing = Promise.all([m.closing, relay.dispose()])
}

/** The relay is paused and has nothing in hand: the daemon gets the channel itself. */
export function rejoin(m: ManagedMount): void {
  const { graft } = m
  const channel = takeChannel(m)
  if (!graft || channel === null) return m.dispatch('channel_lost')
  let stopUs = 0
  try {
    stopUs = exchangeSockets(m, graft, channel)
  } catch (error) {
    // The life has either ended, which is told elsewhere, or goes on behind the relay.
    if (!(error instanceof GraftError) && !m.life?.endsWithin(DYING_MS)) throw error
    void graft.line.relay.resume()
    return healWhenPossible(m)
  } finally {
    closeFd(channel)
  }
  m.graft = null
  m.healing = null
  m.seeking?.end()
  m.seeking = null
  graft.line.end(m)
  m.enter('serving')
  m.emit('healed', {
    daemon_pid: m.leader?.pid ?? 0,
    heal_ms: tenths(performance.now() - graft.since),
    stop_us: Math.round(stopUs),
  })
  prepareNextLife(m)
}

/**
 * Gives a life the channel that the kernel has closed, in the place of its socket: it reads there what every daemon knows
 * for the end of its mount. False if that can't be done.
 */
export function handBack(m: ManagedMount): boolean {
  const { graft } = m
  const channel = graft && takeChannel(m)
  if (!graft || channel === null) return false
  try {
    exchangeSockets(m, graft, channel)
    return true
  } catch (error) {
    if (error instanceof GraftError || error instanceof SyscallError) return false
    throw error
  } finally {
    closeFd(channel)
  }
}

/** @returns how long the daemon stood still, in microseconds. @throws GraftError, SyscallError; all is as before then */
function exchangeSockets(m: ManagedMount, { line }: Graft, channel: Fd): number {
  const sockets = (pid: Pid) => fdsCalled(pid, line.socket)
  return exchange(() => daemonFamily(m.helpers(), null), sockets, channel).stopUs
}
