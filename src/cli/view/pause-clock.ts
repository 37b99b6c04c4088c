// The clock that runs on the terminal while a mount is paused. It stands at the right edge of the line the cursor is on
// and puts the cursor back, so that whatever the daemon prints meanwhile begins where it would have begun.
import type { Outlet } from '../output/outlet.js'
import type { Paint } from '../output/paint.js'

const SAVE = '\u001b7'
const RESTORE = '\u001b8'
const FAR_RIGHT = '\u001b[999C'
const left = (columns: number) => `\u001b[${columns}D`
const CLEAR_TO_END = '\u001b[K'

/** The width that is kept for it, whatever it says. */
const WIDTH = 18
const TICK_MS = 100

export class PauseClock {
  private timer: NodeJS.Timeout | undefined
  private since = 0

  constructor(
    private readonly outlet: Outlet,
    private readonly style: Paint,
  ) {}

  start(): void {
    this.stop()
    this.since = performance.now()
    this.timer = setInterval(() => this.draw(), TICK_MS)
    this.timer.unref()
  }

  stop(): void {
    if (this.timer === undefined) return
    clearInterval(this.timer)
    this.timer = undefined
    this.outlet.write(`${SAVE}${FAR_RIGHT}${left(WIDTH - 1)}${CLEAR_TO_END}${RESTORE}`)
  }

  private draw(): void {
    // A terminal that takes nothing, as after Ctrl-S, is not to be filled with old clocks.
    if (!this.outlet.isIdle) return
    const text = `⏸ paused ${((performance.now() - this.since) / 1000).toFixed(1)} s`.padStart(WIDTH)
    this.outlet.write(`${SAVE}${FAR_RIGHT}${left(WIDTH - 1)}${this.style.yellow(text)}${RESTORE}`)
  }
}
