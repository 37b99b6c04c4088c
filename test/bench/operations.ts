// (a) What operations cost with keepmount around the daemon.
import { type Load, loads } from './loads.js'
import type { BenchOptions } from './options.js'
import { closePlace } from './places.js'
import { inPairs, type Ratio } from './ratio.js'
import { bare, type Daemon, daemons, kept } from './side.js'

/** Operations a second. */
export interface OperationsResult extends Ratio {
  readonly daemon: Daemon
  readonly load: Load
}

export async function measureOperations({ effort, progress }: BenchOptions): Promise<OperationsResult[]> {
  const results: OperationsResult[] = []
  for (const daemon of Object.keys(daemons) as Daemon[]) results.push(...(await measureDaemon(daemon)))
  return results

  async function measureDaemon(daemon: Daemon): Promise<OperationsResult[]> {
    const ours = await kept(daemons[daemon])
    try {
      const theirs = await bare(daemons[daemon])
      try {
        const of: OperationsResult[] = []
        const sides = { with: ours.place, without: theirs.place }
        for (const load of Object.keys(loads) as Load[]) {
          const ratio = await inPairs(
            effort.pairs,
            (side) => loads[load](sides[side], effort.slice_ms),
            (number) => progress(`${daemon}, ${load}: pair ${number} of ${effort.pairs}`),
          )
          of.push({ daemon, load, ...ratio })
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
