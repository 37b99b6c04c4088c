// The time behind the relay: who keeps the mount there is looked for, and when nobody does any more, the daemon is left
// alone. The last close of a file tells of itself, for the rest it is looked again and again, at little cost.
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
const SAVE_MS = 500
/** An unseen user may be one who is just passing: it is told of when it has stayed so long. */
const UNSEEN_MS = 1000
const MOST_PINS = 20

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

  constructor(
    private readonly m: ManagedMount,
    private readonly graft: Graft,
  ) {
    graft.relay.onClear(() => this.after(0))
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
    const { relay } = graft
    const since = performance.now()
    this.credit = Math.min(MOST_CREDIT_MS, this.credit + (since - this.countedAt) * LOOKING_SHARE)
    this.countedAt = since
    const isFresh = since - this.keptAt < REFRESH_MS
    const isAsked = m.options.afterHeal === 'relay'
    const { foreignHandles, parked } = relay.counts()
    // They carry ids of an earlier life, and come again.
    if (m.holdsBack && m.mount && waitingRequests(m.mount.connection) === 0) m.holdsBack = false
    if (m.holdsBack) {
      this.note('held')
      return LOOK_MS
    }
    if (isAsked || foreignHandles > 0 || parked > 0) {
      if (!isFresh) this.know({ reason: 'pinned', pins: relay.obstacles() })
      this.spend(since)
      const isHeld = (this.kept?.pins.length ?? 0) > 0
      this.note(isAsked ? 'asked' : isHeld ? 'pinned' : 'in-use')
      return isAsked ? REFRESH_MS : LOOK_MS
    }
    if (this.credit <= 0) return LOOK_MS
    const kept = await relay.heal(isFresh ? this.kept : null)
    this.spend(since)
    if (!this.isCurrent()) return 0
    if (kept === null) {
      m.dispatch('healed')
      return LOOK_MS
    }
    if (kept !== this.kept) this.know(kept)
    this.note(kept.reason)
    return LOOK_MS
  }

  private know(kept: Kept): void {
    const now = performance.now()
    if (kept.reason === 'unseen') this.unseenSince = Math.min(this.unseenSince, now)
    else this.unseenSince = Number.POSITIVE_INFINITY
    this.kept = kept
    this.keptAt = now
  }

  private spend(since: number): void {
    this.credit -= performance.now() - since
  }

  /** Puts it on record, not more often than need be, and says what nobody would expect. */
  private note(reason: RelayedReason): void {
    const { m } = this
    const { foreignNodes, foreignHandles } = this.graft.relay.counts()
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
