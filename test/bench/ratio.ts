// The same load on two mounts in turns, so that whatever else the machine does is met by both, and the ratio of each pair
// by itself.
import { median, quantile } from '../workload/statistics.js'

/** Operations a second, or bytes. */
export interface Pair {
  readonly with: number
  readonly without: number
}

export interface Ratio {
  readonly pairs: readonly Pair[]
  readonly with: number
  readonly without: number
  /** Time of an operation with keepmount over that without: the median of the pairs, and where it lies with 95 %. */
  readonly ratio: number
  readonly ratio_low: number
  readonly ratio_high: number
}

/** Measures `count` pairs, after one of each side that does not count. */
export async function inPairs(
  count: number,
  measure: (side: keyof Pair) => Promise<number>,
  progress: (number: number) => void,
): Promise<Ratio> {
  for (const side of ['with', 'without'] as const) await measure(side)
  const pairs: Pair[] = []
  for (let i = 0; i < count; i++) {
    progress(i + 1)
    const pair = { with: 0, without: 0 }
    // Each side is first as often as the other.
    for (const side of i % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const))
      pair[side] = await measure(side)
    pairs.push(pair)
  }
  const ratios = pairs.map((pair) => pair.without / pair.with)
  const [ratio_low, ratio_high] = medianInterval(ratios)
  return {
    pairs,
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
