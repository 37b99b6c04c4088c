// The delays and bounds of a managed mount, by the event that each brings.
import type { MachineEvent } from './transitions.js'

type TimedEvent = Extract<MachineEvent, 'restart_due' | 'start_timeout' | 'hold_timeout' | 'stop_timeout'>

export class Timers {
  private readonly armed = new Map<TimedEvent, NodeJS.Timeout>()

  constructor(private readonly dispatch: (event: TimedEvent) => void) {}

  /** Brings `event` in `ms` milliseconds. One that is armed already keeps its time. */
  arm(event: TimedEvent, ms: number): void {
    if (this.armed.has(event)) return
    const timer = setTimeout(
      () => {
        this.armed.delete(event)
        this.dispatch(event)
      },
      Math.min(Math.max(0, ms), LONGEST_MS),
    )
    this.armed.set(event, timer)
  }

  disarm(...events: TimedEvent[]): void {
    for (const event of events) {
      clearTimeout(this.armed.get(event))
      this.armed.delete(event)
    }
  }

  disarmAll(): void {
    this.disarm(...this.armed.keys())
  }
}

/** What setTimeout can count; longer is taken as this, 24 days. */
const LONGEST_MS = 2 ** 31 - 1
