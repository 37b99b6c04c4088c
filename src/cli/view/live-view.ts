// What a person sees on stderr while a mount is managed: a line for each event, a clock while a pause lasts, and the sum
// of it at the end.
import { isatty } from 'node:tty'
import type { MountEvent } from '../../supervise/events.js'
import { Outlet } from '../output/outlet.js'
import { type Paint, paint } from '../output/paint.js'
import { duration } from './duration.js'
import { eventText, eventTitles } from './event-text.js'
import { PauseClock } from './pause-clock.js'
import { Tally } from './tally.js'

export class LiveView {
  private readonly tally = new Tally()
  private readonly clock: PauseClock | null
  private readonly style: Paint

  private constructor(
    private readonly outlet: Outlet,
    isTerminal: boolean,
    env: NodeJS.ProcessEnv,
  ) {
    this.style = paint(isTerminal, env)
    this.clock = isTerminal && env.TERM !== 'dumb' ? new PauseClock(outlet, this.style) : null
  }

  static onStderr(): LiveView {
    return new LiveView(Outlet.toStandard(2), isatty(2), process.env)
  }

  show(event: MountEvent): void {
    this.tally.add(event)
    this.clock?.stop()
    this.outlet.write(eventLines(event, this.style))
    if (event.event === 'crashed' && event.restart_in_ms !== null) this.clock?.start()
  }

  /** Shows the sum. Nothing may be shown after it. */
  async close(): Promise<void> {
    this.clock?.stop()
    const { crashes, lives, pauseMs, longestMs } = this.tally
    if (crashes > 0) {
      const pauses = pauseMs === 0 ? '' : `, ${duration(pauseMs)} of pauses in all, the longest ${duration(longestMs)}`
      this.outlet.write(
        `${this.style.dim(`${crashes} ${crashes === 1 ? 'crash' : 'crashes'}, ${lives} ${lives === 1 ? 'life' : 'lives'}${pauses}`)}\n`,
      )
    }
    await this.outlet.close()
  }
}

const TITLE_WIDTH = Math.max(...eventTitles.map(({ length }) => length))

/** `12:00:01.123 ✖ crashed    …`, further lines indented to the text. */
export function eventLines(event: MountEvent, style: Paint): string {
  const { symbol, colour, title, text } = eventText(event)
  const [first = '', ...more] = text.split('\n')
  const indent = ' '.repeat(13 + 2 + TITLE_WIDTH + 2)
  const head = `${style.dim(clockTime(event.time))} ${style[colour](`${symbol} ${title.padEnd(TITLE_WIDTH)}`)}  ${first}\n`
  return head + more.map((line) => `${indent}${style.dim(line)}\n`).join('')
}

/** The time of day here, `12:00:01.123`. */
function clockTime(iso: string): string {
  const date = new Date(iso)
  const two = (number: number) => String(number).padStart(2, '0')
  const millis = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`
}
