// (a) What operations cost with keepmount around the daemon: the same load on two mounts in turns, so that whatever else
// the machine does is met by both, and the ratio of each pair by itself.
import { median, quantile } from '../workload/statistics.js'
import { type Load, loads } from './loads.js'
import type { BenchOptions } from './options.js'
import { closePlace } from './places.js'
import { bare, type Daemon, daemons, kept } from './side.js'

export interface OperationsResult {
  readonly daemon: Daemon
  readonly load: Load
  /** Operations a second. */
  readonly pairs: readonly { readonly with: number; readonly without: number }[]
  readonly with: number
  readonly without: number
  /** Time of an operation with keepmount over that without: the median of the pairs, and where it lies with 95 %. */
  readonly ratio: number
  readonly ratio_low: number
  readonly ratio_high: number
}

export async function measureOperations({ effort, progress }: BenchOptions): Promise<OperationsResult[]> {
  const results: OperationsResult[] = []
  for (const daemon of Object.keys(daemons) as Daemon[]) results.push(...(await measureDaemon(daemon)))
  return results

  async function measureDaemon(daemon: Daemon): Promise<OperationsResult[]> {
    const ours = await kept(daemon)
    try {
      const theirs = await bare(daemon)
      try {
        const of: OperationsResult[] = []
        for (const load of Object.keys(loads) as Load[]) {
          const run = loads[load]
          const sides = { with: ours.place, without: theirs.place }
          for (const place of Object.values(sides)) await run(place, effort.slice_ms)
          const pairs: { with: number; without: number }[] = []
          for (let i = 0; i < effort.pairs; i++) {
            progress(`${daemon}, ${load}: pair ${i + 1} of ${effort.pairs}`)
            const pair = { with: 0, without: 0 }
            // Each side is first as often as the other.
            for (const side of i % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const))
              pair[side] = await run(sides[side], effort.slice_ms)
            pairs.push(pair)
          }
          of.push({ daemon, load, pairs, ...summary(pairs) })
        }
        return of
      } finally {
        await closePlace(theirs.place)
      }
    } finally {
      await closePlace(ours.place)
    }
  }
}

function summary(pairs: OperationsResult['pairs']) {
  const ratios = pairs.map((pair) => pair.without / pair.with)
  const [ratio_low, ratio_high] = medianInterval(ratios)
  return {
    with: median(pairs.map((pair) => pair.with)),
    without: median(pairs.map((pair) => pair.without)),
    ratio: median(ratios),
    ratio_low,
    ratio_high,
  }
}

/** The order statistics between which the median lies with 95 %, whatever the distribution (normal approximation). */
function medianInterval(values: readonly number[]): [number, number] {
  const reach = 0.98 / Math.sqrt(values.length)
  return [quantile(values, Math.max(0, 0.5 - reach)), quantile(values, Math.min(1, 0.5 + reach))]
}
