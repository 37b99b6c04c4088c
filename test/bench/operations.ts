// (a) What operations cost with keepmount around the daemon, before any crash and healed after one.
import { cannotGraft } from '../fixtures/stock-daemons.js'
import { type Load, loads } from './loads.js'
import type { BenchOptions } from './options.js'
import { closePlace } from './places.js'
import { inPairs, type Ratio } from './ratio.js'
import { bare, type Daemon, daemons, kept } from './side.js'

/** Operations a second. */
export interface OperationsResult extends Ratio {
  readonly daemon: Daemon
  /** True of a daemon that has crashed and is back on the channel. */
  readonly healed: boolean
  readonly load: Load
}

/** What is measured, as it is shown. */
export const labelOf = ({ daemon, healed }: Pick<OperationsResult, 'daemon' | 'healed'>): string =>
  healed ? `${daemon}, healed` : daemon

export async function measureOperations({ effort, progress }: BenchOptions): Promise<OperationsResult[]> {
  const results: OperationsResult[] = []
  for (const daemon of Object.keys(daemons) as Daemon[]) results.push(...(await measureDaemon(daemon, false)))
  if (!cannotGraft('bindfs')) results.push(...(await measureDaemon('bindfs', true)))
  return results

  async function measureDaemon(daemon: Daemon, healed: boolean): Promise<OperationsResult[]> {
    const ours = await kept(daemons[daemon], healed ? ['--revive', 'graft'] : [])
    try {
      const theirs = await bare(daemons[daemon])
      try {
        if (healed) {
          await ours.it.crash()
          await ours.it.event('healed')
        }
        const of: OperationsResult[] = []
        const sides = { with: ours.place, without: theirs.place }
        for (const load of Object.keys(loads) as Load[]) {
          const ratio = await inPairs(
            effort.pairs,
            (side) => loads[load](sides[side], effort.slice_ms),
            (number) => progress(`${labelOf({ daemon, healed })}, ${load}: pair ${number} of ${effort.pairs}`),
          )
          of.push({ daemon, healed, load, ...ratio })
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
