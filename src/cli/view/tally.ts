// The sum of what happened to a mount while we watched.
import type { MountEvent } from '../../supervise/events.js'

export class Tally {
  crashes = 0
  /** The lives that came up. */
  lives = 0
  pauseMs = 0
  longestMs = 0

  add(event: MountEvent): void {
    if (event.event === 'crashed') this.crashes++
    if (event.event === 'mounted' || event.event === 'revived') this.lives++
    if (event.event === 'adopted' && event.daemon_pid !== null) this.lives++
    if (event.event !== 'revived') return
    this.pauseMs += event.downtime_ms
    this.longestMs = Math.max(this.longestMs, event.downtime_ms)
  }
}
