// Times as systemd writes them: `500ms`, `2min 20s`, `1.5`, a plain number being seconds. Source: systemd.time(7).

const seconds = {
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  usec: 1e-6,
  ms: 1e-3,
  msec: 1e-3,
  s: 1,
  sec: 1,
  second: 1,
  seconds: 1,
  m: 60,
  min: 60,
  minute: 60,
  minutes: 60,
  h: 3600,
  hr: 3600,
  hour: 3600,
  hours: 3600,
  d: 86_400,
  day: 86_400,
  days: 86_400,
  w: 604_800,
  week: 604_800,
  weeks: 604_800,
} as const satisfies Record<string, number>

/** Node's timers hold no more milliseconds than 2^31 - 1; one set later than that rings at once. */
export const LONGEST_SPAN = 24 * 86_400

/** The seconds of a time span. Null for what is none, and for one longer than `LONGEST_SPAN`. */
export function parseTimespan(text: string): number | null {
  const part = /\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-zµμ]*)\s*/gy
  let total = 0
  let end = 0
  for (let match = part.exec(text); match; match = part.exec(text)) {
    const [, amount, unit] = match
    const each = unitSeconds(unit || 's')
    if (each === undefined) return null
    total += Number(amount) * each
    end = part.lastIndex
  }
  return end === text.length && end > 0 && total <= LONGEST_SPAN ? total : null
}

const unitSeconds = (unit: string): number | undefined =>
  Object.hasOwn(seconds, unit) ? seconds[unit as keyof typeof seconds] : undefined
