// Colours, where they are wanted: on a terminal, unless NO_COLOR is set to something (https://no-color.org) or the
// terminal cannot show them; FORCE_COLOR asks for them anywhere.

const codes = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
  dim: [2, 22],
  bold: [1, 22],
} as const

export type Colour = keyof typeof codes
export type Paint = Readonly<Record<Colour, (text: string) => string>>

export function paint(isTerminal: boolean | undefined, env: NodeJS.ProcessEnv): Paint {
  const on = wanted(isTerminal === true, env)
  const entries = Object.entries(codes).map(([name, [start, end]]) => [
    name,
    on ? (text: string) => `\u001b[${start}m${text}\u001b[${end}m` : (text: string) => text,
  ])
  // Every key of codes has its entry.
  return Object.fromEntries(entries) as Paint
}

function wanted(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR && env.FORCE_COLOR !== '0') return true
  return isTerminal && env.TERM !== 'dumb'
}
