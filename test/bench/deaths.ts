// (b) and (c): how long an application waits after kill -9, by who brings the daemon back, beside the time that the daemon
// needs to start by itself. One death of each kind in turn, so that all meet the same machine.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { ReviveMode } from '../../src/supervise/options.js'
import { within } from '../fixtures/deadline.js'
import type { Place } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'
import { cannotGraft, type StockName, stockDaemons } from '../fixtures/stock-daemons.js'
import { median, quantile } from '../workload/statistics.js'
import type { BenchOptions, Part } from './options.js'
import { closePlace, newPlace } from './places.js'
import { type Command, daemons, kept } from './side.js'
import type { Order, Outcome } from './victim.js'

export interface DeathsResult {
  readonly kind: Kind
  readonly samples: readonly Outcome[]
  /** The fastest: what it takes when the machine has nothing else to do. */
  readonly least_ms: number
  readonly median_ms: number
  readonly p99_ms: number
  /** Median less that of the cold start; null where that was not measured. */
  readonly over_cold_start_ms: number | null
  /** Of each death, the median of what the application saw: operations that failed, or found the folder beneath. */
  readonly failed: number
  readonly beneath: number
  /** Deaths after which the file that the application had open went on working. */
  readonly open_files_kept: number
}

const DEADLINE_MS = 30_000

interface Row {
  readonly parts: readonly Part[]
  readonly daemon: 'mirrorfs' | StockName
  /** Null for the start that the others are measured against. */
  readonly by: ReviveMode | 'respawn loop' | null
}

/** In the order of the report. */
const kinds = {
  'cold start': { parts: ['b', 'c'], daemon: 'mirrorfs', by: null },
  inherit: { parts: ['b', 'c'], daemon: 'mirrorfs', by: 'inherit' },
  remount: { parts: ['c'], daemon: 'mirrorfs', by: 'remount' },
  respawn: { parts: ['c'], daemon: 'mirrorfs', by: 'respawn loop' },
  'bindfs, cold start': { parts: ['b'], daemon: 'bindfs', by: null },
  'bindfs, graft': { parts: ['b'], daemon: 'bindfs', by: 'graft' },
  'passthrough_ll, cold start': { parts: ['b'], daemon: 'passthrough_ll', by: null },
  'passthrough_ll, graft': { parts: ['b'], daemon: 'passthrough_ll', by: 'graft' },
  'sshfs, cold start': { parts: ['b'], daemon: 'sshfs', by: null },
  'sshfs, graft': { parts: ['b'], daemon: 'sshfs', by: 'graft' },
} as const satisfies Record<string, Row>

export type Kind = keyof typeof kinds
const isHere = ({ daemon }: Row): boolean => daemon === 'mirrorfs' || cannotGraft(daemon) === false

/** What a kind is: the daemon, and who brings it back; null for its own start. */
export const kindOf = (kind: Kind): Pick<Row, 'daemon' | 'by'> => kinds[kind]

/** Gives what brings about one death, or start, and what ended it. */
function begin({ daemon, by }: Row, victims: Victims): Promise<Once> {
  const command: Command = daemon === 'mirrorfs' ? daemons.mirrorfs : stockDaemons[daemon].command
  if (by === null) return coldStart(command, victims)
  return by === 'respawn loop' ? respawn(command, victims) : managed(command, by, victims)
}

type Once = () => Promise<Outcome>
type Victims = (place: Place) => Promise<ChildProcess>

export async function measureDeaths({ parts, effort, progress }: BenchOptions): Promise<DeathsResult[]> {
  const wanted = (Object.keys(kinds) as Kind[]).filter((kind) => {
    const row: Row = kinds[kind]
    return row.parts.some((part) => parts.includes(part)) && isHere(row)
  })
  const places: Place[] = []
  const victims: Victims = async (place) => {
    places.push(place)
    return victim(place)
  }
  try {
    const series = new Map<Kind, { once: Once; samples: Outcome[] }>()
    for (const kind of wanted) series.set(kind, { once: await begin(kinds[kind], victims), samples: [] })
    // The first of each is to warm up.
    for (let i = 0; i <= effort.deaths; i++) {
      progress(`deaths: ${i} of ${effort.deaths}`)
      // Each kind comes first as often as the others.
      const turns = [...series.values()]
      for (const { once, samples } of [...turns.slice(i % turns.length), ...turns.slice(0, i % turns.length)]) {
        const outcome = await once()
        if (i > 0) samples.push(outcome)
      }
    }
    const coldOf = (kind: Kind): readonly Outcome[] | undefined => {
      const cold = wanted.find((other) => kindOf(other).by === null && kindOf(other).daemon === kindOf(kind).daemon)
      return cold && series.get(cold)?.samples
    }
    return [...series].map(([kind, { samples }]) => summary(kind, samples, coldOf(kind)))
  } finally {
    for (const place of places) await closePlace(place)
  }
}

async function managed(command: Command, revive: ReviveMode, victims: Victims): Promise<Once> {
  const { place, it } = await kept(command, ['--revive', revive])
  const application = await victims(place)
  return async () => {
    const from = it.log.events.length
    const outcome = await ask(application, { kind: 'kill', pid: it.daemon })
    await it.event('revived', { from })
    // Two deaths in a row are another thing than one: a life that heals is busy with that.
    if (revive === 'graft') await it.event('healed', { from })
    return outcome
  }
}

async function coldStart(command: Command, victims: Victims): Promise<Once> {
  const place = newPlace()
  const application = await victims(place)
  return () => ask(application, { kind: 'start', argv: command(place) })
}

async function respawn(command: Command, victims: Victims): Promise<Once> {
  const place = newPlace()
  const argv = [place.mount, ...command(place)]
  const manager = fork(builtProgram('test/bench/respawn'), argv, { env: place.env, execArgv: [] })
  place.undo(() => manager.kill('SIGKILL'))
  const started = async (): Promise<number> => ((await said(manager)) as { pid: number }).pid
  let daemon = await started()
  await place.mounted()
  const application = await victims(place)
  return async () => {
    const next = started()
    const outcome = await ask(application, { kind: 'kill', pid: daemon })
    daemon = await next
    return outcome
  }
}

async function victim(place: Place): Promise<ChildProcess> {
  const child = fork(builtProgram('test/bench/victim'), [place.mount], { env: place.env, cwd: '/', execArgv: [] })
  place.undo(() => child.kill('SIGKILL'))
  await said(child)
  return child
}

async function ask(child: ChildProcess, order: Order): Promise<Outcome> {
  const answer = said(child)
  child.send(order)
  return (await answer) as Outcome
}

async function said(child: ChildProcess): Promise<unknown> {
  const ended = new AbortController()
  const gone = once(child, 'exit', { signal: ended.signal }).then(() => Promise.reject(new Error('it has died')))
  gone.catch(() => undefined)
  try {
    const message = once(child, 'message', { signal: ended.signal })
    const [value] = await within(Promise.race([message, gone]), DEADLINE_MS, 'a word of a process of the bench')
    return value
  } finally {
    ended.abort()
  }
}

function summary(kind: Kind, samples: readonly Outcome[], cold: readonly Outcome[] | undefined): DeathsResult {
  const times = samples.map(({ ms }) => ms)
  return {
    kind,
    samples,
    least_ms: Math.min(...times),
    median_ms: median(times),
    p99_ms: quantile(times, 0.99),
    over_cold_start_ms: cold ? median(times) - median(cold.map(({ ms }) => ms)) : null,
    failed: median(samples.map(({ failed }) => failed)),
    beneath: median(samples.map(({ beneath }) => beneath)),
    open_files_kept: samples.filter(({ open_file }) => open_file === 'works').length,
  }
}
