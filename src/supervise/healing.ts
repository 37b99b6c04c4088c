// The time behind the relay: who keeps the mount there is looked for, and when nobody does any more, the daemon is left
// alone. The last close of a file tells of itself, for the rest it is looked again and again, at little cost.
import type { EventLoopUtilization } from 'node:perf_hooks'
import { waitingRequests } from '../kernel/connection.js'
import type { Kept } from '../relay/index.js'
import type { Graft } from './grafting.js'
import type { ManagedMount } from './managed-mount.js'
import type { RelayedReason } from './relayed.js'

const LOOK_MS = 25
/** What `status` shows is not older. */
const REFRESH_MS = 2000
/** The part of the time that may be spent on looking, and what may be spent of it at once. */
const LOOKING_SHARE = 0.05
const MOST_CREDIT_MS = 60
/** Once somebody has let go, it is tried so often at least, whatever has been spent. */
const TRIES = 4
/** So many requests from one look to the next are a load. */
const TRAFFIC = 20
const SAVE_MS = 500
/** An unseen user may be one who is just passing: it is told of when it has stayed so long. */
const UNSEEN_MS = 1000
const MOST_PINS = 20
/**
 * From then on the kernel is given the daemon's own ids: every thread that was answered by the life before has run since, and
 * has told the kernel what it was answered.
 */
const SETTLED_MS = 1000
/** How often the kernel is made to forget what it has cached under a load. Each time in vain it is left alone for longer. */
const PURGE_MS = 100
const LONGEST_PURGE_MS = 60_000
const PURGE_GROWTH = 1.25

/** Looks for the moment when no id of an earlier life is in use any more. */
export function healWhenPossible(m: ManagedMount): void {
  if (m.graft) new Looks(m, m.graft).after(0)
}

class Looks {
  private timer: NodeJS.Timeout | undefined
  private isLooking = false
  /** Why it was not healed when that was looked at last. */
  private kept: Kept | null = null
  /** Milliseconds that may be spent, and when that was. */
  private credit = MOST_CREDIT_MS
  private countedAt = performance.now()
  private keptAt = Number.NEGATIVE_INFINITY
  private savedAt = Number.NEGATIVE_INFINITY
  private unseenSince = Number.POSITIVE_INFINITY
  private readonly told = new Set<RelayedReason>()
  private tries = 0
  /** What had gone through when it was looked last without credit. */
  private lookedAt = 0
  private isPlain = false
  private isPurging = false
  private purgeMs = PURGE_MS
  private purgeAt = 0
  /** What had gone through when it was purged last. */
  private purgedAt = -1

  constructor(
    private readonly m: ManagedMount,
    private readonly graft: Graft,
  ) {
    graft.line.relay.onClear(() => this.after(0))
  }

  after(ms: number): void {
    clearTimeout(this.timer)
    if (!this.isCurrent()) return
    this.timer = setTimeout(() => {
      if (!this.isCurrent() || this.isLooking) return
      this.isLooking = true
      this.look().then(
        (nextMs) => {
          this.isLooking = false
          this.after(nextMs)
        },
        (error: unknown) => this.m.fail(error),
      )
    }, ms).unref()
  }

  private isCurrent(): boolean {
    return this.m.graft === this.graft && this.m.state === 'healing'
  }

  /** Returns after how many milliseconds to look again. */
  private async look(): Promise<number> {
    const { m, graft } = this
    const { relay } = graft.line
    const since = performance.now()
    const active = performance.eventLoopUtilization()
    this.credit = Math.min(MOST_CREDIT_MS, this.credit + (since - this.countedAt) * LOOKING_SHARE)
    this.countedAt = since
    const isFresh = since - this.keptAt < REFRESH_MS
    const isAsked = m.options.afterHeal === 'relay'
    const { foreignNodes, foreignHandles, parked } = relay.counts()
    // They carry ids of an earlier life, and come again.
    if (m.holdsBack && m.mount && waitingRequests(m.mount.connection) === 0) m.holdsBack = false
    if (m.holdsBack) {
      this.note('held')
      return LOOK_MS
    }
    if (!isAsked && since - graft.since >= SETTLED_MS) this.fade()
    // Those that are open on the root are mostly soon closed.
    const isHeldOpen = foreignHandles > 0 && foreignNodes > 0
    if (isAsked || isHeldOpen || parked > 0) {
      if (!isFresh) this.know({ reason: 'pinned', pins: relay.obstacles() })
      this.spend(active)
      const isHeld = (this.kept?.pins.length ?? 0) > 0
      this.note(isAsked ? 'asked' : isHeld ? 'pinned' : 'in-use')
      return isAsked ? REFRESH_MS : LOOK_MS
    }
    if (this.credit <= 0 && !this.isWorthIt(isFresh)) return LOOK_MS
    const kept = await relay.heal(isFresh ? this.kept : null)
    this.spend(active)
    if (!this.isCurrent()) {
      // It was asked to stop or unmounted meanwhile: only a relay that reads sees the channel end, and tells the daemon.
      if (kept === null && m.graft === graft) await relay.resume().then(() => relay.letGo())
      return 0
    }
    if (kept === null) {
      m.dispatch('healed')
      return LOOK_MS
    }
    if (kept !== this.kept) this.know(kept)
    this.note(kept.reason)
    return LOOK_MS
  }

  /**
   * Has the mount come to use the daemon's own ids while it is used: what the kernel is given anew is so where that can be,
   * and what it holds by other ids it forgets at moments when nobody uses it.
   */
  private fade(): void {
    const { relay } = this.graft.line
    if (!this.isPlain) {
      this.isPlain = true
      void relay.beginPlain()
    }
    const { foreignNodes, translated } = relay.counts()
    const now = performance.now()
    if (this.isPurging || foreignNodes === 0 || translated === this.purgedAt || now < this.purgeAt) return
    this.isPurging = true
    void relay.purge().then((hasHelped) => {
      this.isPurging = false
      this.purgedAt = relay.counts().translated
      this.purgeMs = hasHelped ? PURGE_MS : Math.min(LONGEST_PURGE_MS, this.purgeMs * PURGE_GROWTH)
      this.purgeAt = performance.now() + this.purgeMs
    })
  }

  private know(kept: Kept): void {
    const now = performance.now()
    if (kept.reason === 'unseen') this.unseenSince = Math.min(this.unseenSince, now)
    else this.unseenSince = Number.POSITIVE_INFINITY
    this.kept = kept
    this.keptAt = now
  }

  /** True if a look has a reason, or costs little. */
  private isWorthIt(isFresh: boolean): boolean {
    // The kernel says at once whether that is so still.
    if (this.kept?.reason === 'unseen' && isFresh) return true
    const { translated } = this.graft.line.relay.counts()
    const isQuiet = translated - this.lookedAt < TRAFFIC
    this.lookedAt = translated
    // Under a load somebody lets go all the time.
    if (isQuiet && this.kept && this.graft.line.relay.haveLetGo(this.kept.pins)) this.tries = TRIES
    return isQuiet && this.tries-- > 0
  }

  /** What was waited for others costs nothing. */
  private spend(since: EventLoopUtilization): void {
    this.credit -= performance.eventLoopUtilization(since).active
  }

  /** Puts it on record, not more often than need be, and says what nobody would expect. */
  private note(reason: RelayedReason): void {
    const { m } = this
    const { foreignNodes, foreignHandles } = this.graft.line.relay.counts()
    const pins = (this.kept?.pins ?? []).slice(0, MOST_PINS).map(({ pid, command, path }) => ({ pid, command, path }))
    const healing = { reason, stale_nodes: foreignNodes, stale_handles: foreignHandles, pins }
    const now = performance.now()
    if (now - this.savedAt >= SAVE_MS && JSON.stringify(healing) !== JSON.stringify(m.healing)) {
      this.savedAt = now
      m.healing = healing
      m.save()
    }
    const isSurprising = reason === 'asked' || (reason === 'unseen' && now - this.unseenSince >= UNSEEN_MS)
    if (!isSurprising || this.told.has(reason)) return
    this.told.add(reason)
    m.emit('relayed', { daemon_pid: m.leader?.pid ?? 0, reason, pins })
  }
}
