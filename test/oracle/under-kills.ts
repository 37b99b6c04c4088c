// The oracle on a mount under `keepmount run`: first without kills, then the daemon is killed at seeded moments. What the
// daemon did without kills is its own, and no finding.
import { EventEmitter, once } from 'node:events'
import { setTimeout as pass } from 'node:timers/promises'
import { Crashes } from '../../src/oracle/crashes.js'
import type { Cut } from '../../src/oracle/cuts.js'
import { type Left, type OracleOptions, oracle, type Progress, sortOf, type Verdict } from '../../src/oracle/index.js'
import { Random } from '../../src/oracle/random.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import type { Place } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'

export interface UnderKills extends Omit<OracleOptions, 'folder' | 'seed'> {
  readonly seed: number
  readonly kills: number
  /** argv of the daemon; without it, the mirror. */
  readonly daemon?: readonly string[]
  /** Further options of `keepmount run`, as `--revive graft`. */
  readonly run?: readonly string[]
  /** What dies with the daemon: asked for without kills only. */
  readonly lost?: readonly Left[]
  /** Longest time from one revival to the next kill, in milliseconds. */
  readonly calm?: number
  /** Each crash, before it and after it. */
  readonly onCrash?: (text: string) => void
}

export interface KillResult {
  /** Without kills. */
  readonly baseline: Verdict
  /** Undefined if there were to be no kills. */
  readonly verdict?: Verdict
  /** Downtime of each kill in milliseconds. */
  readonly pauses: readonly number[]
  readonly problems: readonly string[]
  readonly managed: Managed
}

/** What grafting cannot settle: it was under way when the daemon died, and nobody knows whether it was done. */
const graftCuts: readonly Cut[] = [{ of: ['exchange'], errno: 'EIO', why: 'to exchange names twice is to do nothing' }]

export async function underKills(place: Place, options: UnderKills): Promise<KillResult> {
  const { kills, daemon, calm = 200, seed, run = [], lost = [], cuts = [], onCrash, ...rest } = options
  const performer = [builtProgram('src/oracle/perform/main')]
  const common = { ...rest, folder: place.mount, seed, performer }
  const managed = await Managed.serving(place, { ...(daemon && { daemon }), options: [...unlimited, ...run] })
  const baseline = await oracle(common)
  const problems: string[] = []
  const pauses: number[] = []
  if (kills === 0) return { baseline, pauses, problems, managed }
  const random = new Random(seed, 'kills')
  const crashes = new Crashes()
  const over = new AbortController()
  // What a kill did to the oracle's own work before that, it could not judge.
  const prepared = new EventEmitter()
  const isPrepared = once(prepared, 'calibrated')
  const killing = (async () => {
    await isPrepared
    while (pauses.length < kills) {
      await pass(random.next() * calm)
      const from = managed.log.events.length
      const isDead = crashes.begin()
      onCrash?.(`kill ${pauses.length + 1}`)
      const [revived] = await Promise.all([managed.crash(), managed.event('crashed', { from }).then(isDead)])
      pauses.push(revived.downtime_ms)
      onCrash?.(`life ${revived.life}`)
    }
  })()
  killing.catch((error: unknown) => problems.push(String(error))).finally(() => over.abort())
  // As long as the kills last, whatever the number of operations was without them.
  const endless = {
    ...common,
    operations: Number.POSITIVE_INFINITY,
    signal: over.signal,
    onProgress: ({ phase }: Progress) => void prepared.emit(phase),
    left: [...baseline.left, ...lost],
    known: new Set(baseline.findings.map(sortOf)),
    crashes,
    cuts: [...(run.includes('graft') ? graftCuts : []), ...cuts],
  }
  const verdict = await oracle(endless)
  await killing.catch(() => undefined)
  return { baseline, verdict, pauses, problems, managed }
}
