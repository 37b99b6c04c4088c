// Signals by number and by name. Source: signal(7).
import { constants } from 'node:os'

const names = new Map<number, string>(Object.entries(constants.signals).map(([name, number]) => [number, name]))

/** `SIGKILL` for 9; null for no signal. Real-time signals have no name of their own: `SIG<number>`. */
export const signalName = (signal: number | null): string | null =>
  signal === null ? null : (names.get(signal) ?? `SIG${signal}`)

/** 9 for `SIGKILL`; 0 for a name that is none. */
export const signalNumber = (name: string): number => {
  const numbers: Partial<Record<string, number>> = constants.signals
  return numbers[name] ?? Number(/^SIG(\d+)$/.exec(name)?.[1] ?? 0)
}
