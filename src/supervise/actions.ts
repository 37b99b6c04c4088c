// What is done on each event: one short function an action of the state machine.
import { mountKeys } from '../capture/find-mount.js'
import { KeepmountError } from '../errors/error.js'
import { readFuseMounts } from '../kernel/mountinfo.js'
import { closeFd } from '../native/descriptor.js'
import type { Exit } from '../native/process.js'
import { signalName } from '../native/signals.js'
import { startProber } from '../revive/prober.js'
import { restartDelayMs, restarts } from '../revive/restart-policy.js'
import { isAborted } from '../settle/aborted.js'
import { resend } from '../settle/resend.js'
import { settle } from '../settle/settle.js'
import { startLife } from './beginning.js'
import { capture, takeChannel } from './capturing.js'
import { followClones } from './clones.js'
import { end } from './end.js'
import { type GiveUpReason, tenths } from './events.js'
import { endGraft, graft, handBack, prepareNextLife, rejoin, respawnGrafted } from './grafting.js'
import { healWhenPossible } from './healing.js'
import { killFamily } from './life.js'
import type { Cause, ManagedMount } from './managed-mount.js'
import { forget } from './ours.js'
import { isWholly, seekAgain, suspectServer } from './seeking.js'
import { onceServerIsKnown } from './server.js'
import type { Action, MachineEvent } from './transitions.js'
import { findStray, unmountOurs } from './unmount.js'
import { follow, suspectStock } from './watching.js'

export const actions = {
  prove(m) {
    if (m.options.revive !== 'remount' && !capture(m)) return // the daemon has died: its exit is on its way
    ask(m)
    m.enter('proving')
  },

  settle_in(m, { answer = 0 }) {
    const now = performance.now()
    m.timers.disarm('start_timeout', 'hold_timeout')
    m.servingSince = now
    m.holdsBack = m.pause?.settled === 'hold'
    const daemon_pid = m.leader?.pid ?? 0
    const { pause } = m
    m.pause = null
    if (m.firstAnswer === null && m.mount) {
      m.firstAnswer = answer
      m.firstStartMs = now - m.startedAt
      m.enter('serving')
      const { device, connection } = m.mount
      m.emit('mounted', { device, connection, daemon_pid, start_ms: tenths(now - m.startedAt) })
    } else {
      const downtime_ms = pause ? tenths(now - pause.since) : 0
      if (m.lastCrash) m.lastCrash = { ...m.lastCrash, downtime_ms }
      m.enter(m.graft ? 'healing' : 'serving')
      if (pause)
        m.emit('revived', { daemon_pid, downtime_ms, resent: pause.settled === 'resend', in_flight: pause.settled })
    }
    prepareNextLife(m)
    if (m.graft) healWhenPossible(m)
    else followClones(m)
    if (pause && m.holdsBack) releaseHeldLater(m, pause.since)
  },

  orphan(m, { exit = unknown, dead }) {
    const now = performance.now()
    const pid = m.leader?.pid ?? dead ?? 0
    forgetLife(m)
    if (m.mount && !m.isMounted()) return leaveAfterExit(m, 'unmounted')
    m.pause ??= { since: now, settled: 'none' }
    m.crashes++
    const signal = signalName(exit.signal)
    m.lastCrash = { time: new Date().toISOString(), life: m.number, pid, code: exit.code, signal, downtime_ms: null }
    if (now - m.servingSince >= m.options.startLimitIntervalSec * 1000) m.restarts = 0
    m.restarts++
    const delay = restartDelayMs(m.restarts, m.options)
    const barred = restartBarred(m, exit, now + delay)
    const crash = { daemon_pid: pid, code: exit.code, signal, restart_in_ms: barred ? null : delay }
    if (m.options.revive !== 'remount') {
      const state = channelState(m)
      if (state === 'aborted') return leaveAfterExit(m, 'aborted')
      m.emit('crashed', crash)
      if (state === 'lost') return actions.give_up(m, { event: 'channel_lost' })
    } else {
      m.emit('crashed', crash)
      unmountDead(m)
    }
    if (barred) return actions.give_up(m, barred)
    m.state = 'orphaned'
    m.timers.arm('hold_timeout', m.options.holdTimeoutSec * 1000 - (now - m.pause.since))
    // An immediate next life is on record already, or will be before it begins.
    if (delay > 0) {
      m.save()
      m.timers.arm('restart_due', delay)
    } else if (m.relay?.isBusy) void m.closing.then(() => m.hurry(() => m.dispatch('restart_due')))
    else m.dispatch('restart_due')
  },

  respawn(m) {
    m.number++
    if (m.options.revive === 'remount') return startAnew(m)
    if (m.options.revive === 'graft') {
      respawnGrafted(m)
      return dropClones(m)
    }
    const channel = takeChannel(m)
    if (channel === null || !m.mount) return m.dispatch('channel_lost')
    try {
      const settled = settle(channel, m.mount.connection, m.mount.mountpoint, m.options.inFlight)
      if (m.pause) m.pause.settled = settled.policy
      m.mountsBefore = mountKeys(readFuseMounts())
      startLife(m, channel)
    } finally {
      closeFd(channel)
    }
    ask(m)
    m.enter('proving')
    m.timers.arm('start_timeout', m.options.timeoutStartSec * 1000)
    suspectStock(m)
    dropClones(m)
  },

  graft(m, { decoy }) {
    if (!decoy) return
    if (decoy.server !== m.leader?.pid && !follow(m, decoy.server)) return seekAgain(m)
    graft(m, decoy)
    const { graft: grafted } = m
    if (!grafted) return
    m.enter('proving')
    const isProving = (): boolean => m.graft === grafted && m.state === 'proving'
    void isWholly(m, decoy).then(async (isWhole) => {
      if (!isWhole || !isProving()) return
      suspectServer(m, decoy)
      const answer = await grafted.answered
      if (answer !== null && isProving()) onceServerIsKnown(m, () => m.dispatch('answered', { answer }))
    })
  },

  rejoin(m) {
    rejoin(m)
    if (!m.graft) followClones(m)
  },

  retire(m, { event }) {
    m.isRetired = true
    if (event === 'channel_closed' && handBack(m)) return
    if (m.state === 'leaving') m.life?.signal(SIGTERM)
  },

  end_life(m) {
    m.life?.signal(SIGKILL)
  },

  fail_start(m, cause) {
    const { event, exit } = cause
    if (m.number > 1 && event === 'daemon_exited') return actions.orphan(m, cause)
    if (m.number > 1) return actions.give_up(m, { event })
    if (!m.mount) findStray(m)
    const command = m.options.argv[0] ?? ''
    const error = exit
      ? new KeepmountError('EXITED_WITHOUT_MOUNT', { command, code: exit.code, signal: signalName(exit.signal) })
      : new KeepmountError('NO_MOUNT', { command, seconds: m.options.timeoutStartSec })
    end(m, { error })
  },

  give_up(m, { event, reason = reasons[event], detail = '' }) {
    const action = m.options.onGiveUp
    m.gaveUp = true
    m.emit('gave_up', { reason: reason ?? 'cannot-run', detail, action })
    end(m, {})
  },

  leave(m, { event, unmounted = 'unmounted' }) {
    m.timers.disarmAll()
    m.emit('unmounted', { reason: unmounted })
    m.enter('leaving')
    // A life that was to serve again may never look at its channel; one that serves is told by it, and may be slow.
    if (m.pause) m.life?.kill()
    // What is cached is still written through the relay: it ends when the kernel closes the channel.
    void m.graft?.line.relay.letGo()
    if (!m.pause) m.timers.arm('stop_timeout', m.options.timeoutStopSec * 1000)
    if (event === 'channel_closed') actions.retire(m, { event })
  },

  stop(m, { signal = SIGTERM }) {
    m.timers.disarmAll()
    m.enter('stopping')
    m.timers.arm('stop_timeout', m.options.timeoutStopSec * 1000)
    m.life?.signal(signal)
    if (m.number === 1 || m.options.revive !== 'graft') return
    // What a grafted life unmounts when it ends is its decoy.
    unmountOurs(m)
    void m.graft?.line.relay.letGo()
  },

  kill(m) {
    m.connection?.abort()
    m.life?.kill()
    killFamily(m.helpers())
  },

  end(m, { event, unmounted = 'unmounted' }) {
    if (event === 'unmounted') m.emit('unmounted', { reason: unmounted })
    // Somebody wanted the mount gone while no life served it, or one that did not see it go: that is no failure.
    if (event === 'unmounted' || (m.state === 'leaving' && (m.pause || m.isRetired)))
      m.lastExit = { code: 0, signal: null }
    end(m, {})
  },
} satisfies Record<Action, (m: ManagedMount, cause: Cause) => void>

/** Starts a life that mounts by itself. */
export function startAnew(m: ManagedMount): void {
  m.mountsBefore = mountKeys(readFuseMounts())
  m.state = 'starting'
  m.timers.arm('start_timeout', m.options.timeoutStartSec * 1000)
  startLife(m, null)
}

/** Asks the mount for an answer; whichever life gives it, it is the mount's. */
function ask(m: ManagedMount): void {
  if (!m.mount) return
  const prober = startProber(m.mount.mountpoint)
  m.probers.add(prober)
  void prober.answer.then((answer) => {
    m.probers.delete(prober)
    if (prober.stale || m.state !== 'proving') return
    if (answer === null) ask(m)
    // What answered then is the folder beneath.
    else if (!m.isMounted()) m.dispatch('unmounted')
    // The kernel aborts a connection whose last channel is closed, as that of the last holder.
    else if (isAbort(answer) && m.holders.living().length === 0) m.dispatch('channel_lost')
    else if (isAbort(answer)) m.dispatch('unmounted', { unmounted: 'aborted' })
    else if (m.options.revive === 'inherit' && answer === EIO && m.firstAnswer !== null && m.firstAnswer !== EIO)
      m.dispatch('refused', {
        reason: 'stock-daemon',
        detail: 'it answers EIO to everything: it waits for a FUSE_INIT that never comes again',
      })
    else onceServerIsKnown(m, () => m.dispatch('answered', { answer }))
  })
}

const isAbort = (errno: number): boolean => errno === ENOTCONN || errno === ECONNABORTED

function forgetLife(m: ManagedMount): void {
  m.timers.disarm('start_timeout', 'restart_due')
  endGraft(m)
  m.life?.release()
  m.life = null
  m.leader = null
  // What a dead life had read of theirs is not the next one's answer.
  for (const prober of m.probers) {
    prober.stale = true
    prober.child.kill()
  }
  killFamily(m.helpers(), WORK_OFF_MS)
}

/** An ssh may have to bring what it has to the other side of the world. */
const WORK_OFF_MS = 300

function restartBarred(m: ManagedMount, exit: Exit, at: number): Cause | null {
  const { restart, startLimitBurst, startLimitIntervalSec } = m.options
  if (!restarts(restart, exit))
    return { event: 'daemon_exited', reason: 'restart-policy', detail: `--restart ${restart}` }
  if (m.startLimit.allows(at)) return null
  const detail = `more than ${startLimitBurst} starts in ${startLimitIntervalSec} s`
  return { event: 'daemon_exited', reason: 'start-limit', detail }
}

function channelState(m: ManagedMount): 'whole' | 'aborted' | 'lost' {
  const channel = takeChannel(m)
  if (channel === null) return 'lost'
  try {
    return isAborted(channel) ? 'aborted' : 'whole'
  } finally {
    closeFd(channel)
  }
}

/** Requests left to the daemon to settle are not left for ever: what it has not answered in time comes again. */
function releaseHeldLater(m: ManagedMount, since: number): void {
  const number = m.number
  const left = m.options.holdTimeoutSec * 1000 - (performance.now() - since)
  setTimeout(
    () => {
      if (!(m.state === 'serving' || m.state === 'healing') || m.number !== number) return
      const channel = takeChannel(m)
      if (channel === null) return
      resend(channel)
      closeFd(channel)
      m.holdsBack = false
    },
    Math.max(0, left),
  ).unref()
}

/** The daemon has ended and its mount with it: the supervisor ends as the daemon did. */
function leaveAfterExit(m: ManagedMount, reason: 'unmounted' | 'aborted'): void {
  m.emit('unmounted', { reason })
  end(m, {})
}

function unmountDead(m: ManagedMount): void {
  m.connection?.abort()
  if (!m.mount) findStray(m)
  unmountOurs(m)
  forget(m)
}

/** Once their requests are queued again, the clones of a dead life serve nothing. */
function dropClones(m: ManagedMount): void {
  if (m.options.inFlight.kind === 'hold') return
  for (const channel of m.holders.channels().slice(1)) m.holders.drop(channel)
}

const reasons: Partial<Record<MachineEvent, GiveUpReason>> = {
  hold_timeout: 'hold-timeout',
  start_timeout: 'start-timeout',
  channel_lost: 'channel-lost',
  refused: 'stock-daemon',
}

const unknown: Exit = { code: null, signal: null }

const SIGTERM = 15
const SIGKILL = 9
const EIO = 5
const ECONNABORTED = 103
const ENOTCONN = 107
