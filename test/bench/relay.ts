// (e) What a stock daemon costs behind the relay, where it is while files of an earlier life are open: killed once, and
// kept there for good.
import { strict as assert } from 'node:assert'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type StockName, stockDaemons } from '../fixtures/stock-daemons.js'
import type { BenchOptions } from './options.js'
import { closePlace } from './places.js'
import { inPairs, type Ratio } from './ratio.js'
import { type RelayLoad, relayLoads } from './relay-loads.js'
import { bare, type Command, kept } from './side.js'

/** Operations or bytes a second; `with` is behind the relay. */
export interface RelayResult extends Ratio {
  readonly daemon: string
  readonly load: RelayLoad
  readonly unit: 'operations' | 'bytes'
}

/** Those that differ most in how they read and write the channel: libfuse 2's high-level API, libfuse 3's low-level one. */
const measured = {
  bindfs: { forNames: ['-o', 'entry_timeout=0'] },
  passthrough_ll: { forNames: ['-o', 'timeout=0'] },
} as const satisfies Partial<Record<StockName, { readonly forNames: readonly string[] }>>

export async function measureRelay({ effort, progress }: BenchOptions): Promise<RelayResult[]> {
  const results: RelayResult[] = []
  const data = Buffer.alloc(64 << 20, 'keepmount')
  for (const name of Object.keys(measured) as (keyof typeof measured)[]) {
    if (stockDaemons[name].missing !== false) continue
    for (const isForNames of [true, false]) results.push(...(await measureDaemon(name, isForNames)))
  }
  return results

  async function measureDaemon(name: keyof typeof measured, isForNames: boolean): Promise<RelayResult[]> {
    const { command: stock } = stockDaemons[name]
    const command: Command = (place) => [...stock(place), ...(isForNames ? measured[name].forNames : [])]
    const ours = await kept(command, ['--revive', 'graft', '--after-heal', 'relay'])
    try {
      const theirs = await bare(command)
      try {
        await ours.it.crash()
        const of: RelayResult[] = []
        const sides = { with: ours.place, without: theirs.place }
        for (const { source } of Object.values(sides)) writeFileSync(join(source, 'requests.data'), data)
        for (const [load, { run, unit, ofNames }] of Object.entries(relayLoads)) {
          if (ofNames !== isForNames) continue
          const ratio = await inPairs(
            effort.relay_pairs,
            (side) => run(sides[side], effort.slice_ms),
            (number) => progress(`${name} behind the relay, ${load}: pair ${number} of ${effort.relay_pairs}`),
          )
          of.push({ daemon: name, load: load as RelayLoad, unit, ...ratio })
        }
        assert.equal((await ours.it.status()).state, 'healing', 'the daemon is behind the relay to the end')
        return of
      } finally {
        await closePlace(theirs.place)
      }
    } finally {
      await closePlace(ours.place)
    }
  }
}
