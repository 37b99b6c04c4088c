// The operation oracle: several processes work in a folder by seeded operations, each of which has one right answer, or
// few, by a model in memory. Whatever happens to the file system meanwhile, it says what the applications saw of it.
//
//   model (pure) ── generate: the next operation ──▶ performer, a process ──▶ the folder
//        └────────── judge: the answer that is due ◀──┘ the answer that came
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Totals } from './answer.js'
import { failure, tryFeatures, UnusableFolder } from './calibrate.js'
import { CutOperations, type SharedCauses } from './cuts.js'
import { Model } from './model/model.js'
import type { Operation } from './operations.js'
import { DEADLINE_MS, type OracleOptions } from './options.js'
import { actualOf, PerformingChild } from './performing-child.js'
import { type Play, Player } from './player.js'
import { SharedJudge } from './shared.js'
import { type Left, Tally, type Verdict } from './verdict.js'

export { UnusableFolder } from './calibrate.js'
export type { OracleOptions, Progress, StepRange } from './options.js'
export { type Finding, findingText, type Left, sortOf, type Verdict, verdictTable } from './verdict.js'

/**
 * Works in the folder and judges it.
 * @throws UnusableFolder if files cannot even be made there
 */
export async function oracle(options: OracleOptions): Promise<Verdict> {
  const { processes = 3, seed = Date.now() % 1_000_000, onProgress = () => undefined } = options
  const left = options.left ?? (await calibrate(options))
  const run = new Run({ ...options, seed })
  await run.prepare()
  try {
    const tally = new Tally()
    const shared = new SharedJudge()
    const sharedCauses: SharedCauses = new Map()
    const told = (phase: 'calibrated' | 'working' | 'done'): void =>
      onProgress({ phase, seed, operations: tally.operations, findings: tally.findings.length })
    told('calibrated')
    const numbers = options.only ? [options.only.process] : Array.from({ length: processes }, (_, number) => number)
    const play: Play = {
      options: { ...options, seed },
      root: run.root,
      left: new Set(left.map(({ feature }) => feature)),
      shared,
      sharedCauses,
      tally,
      progress: () => told('working'),
    }
    const prints = await Promise.all(numbers.map((number) => new Player(play, number).run()))
    await run.judgeTotals({ shared, sharedCauses, tally })
    told('done')
    const { operations, seconds, kinds, sorts, findings, known, cuts } = tally
    const fingerprint = createHash('sha1').update(prints.join()).digest('hex')
    const clean = Object.values(sorts).every((count) => count === 0)
    return {
      clean,
      seed,
      processes: numbers.length,
      operations,
      seconds,
      fingerprint,
      left,
      kinds,
      sorts,
      findings,
      known,
      cuts,
    }
  } finally {
    await run.remove()
  }
}

/** What the file system of this folder cannot do: to be left out of runs on it. */
export async function calibrate(options: OracleOptions): Promise<Left[]> {
  const run = new Run({ seed: 0, ...options })
  await run.prepare()
  try {
    return await tryFeatures(run.root, options)
  } finally {
    await run.remove()
  }
}

/** The folder of a run, made and removed from outside by a child of its own, which is always an honest one. */
class Run {
  readonly name: string
  readonly root: string
  private readonly child: PerformingChild
  private static count = 0

  constructor(private readonly options: OracleOptions & { readonly seed: number }) {
    const { folder, seed, performer = [], deadline = DEADLINE_MS } = options
    this.name = `oracle-${seed}-${process.pid}-${Run.count++}`
    this.root = join(folder, this.name)
    this.child = new PerformingChild(folder, performer.slice(0, 1), deadline)
  }

  /** @throws UnusableFolder */
  async prepare(): Promise<void> {
    const flags = { append: false, create: true, exclusive: true, truncate: false }
    const operations: Operation[] = [
      { kind: 'enter', folder: this.name, inside: false },
      { kind: 'enter', folder: `${this.name}/shared`, inside: false },
      // What hard links are made of.
      { kind: 'open', file: 0, path: 'always', access: 'both', mode: 0o644, ...flags },
      { kind: 'leave' },
    ]
    for (const operation of operations) {
      const problem = failure(await this.child.ask(operation))
      if (problem === undefined) continue
      await this.child.end()
      throw new UnusableFolder(this.options.folder, problem)
    }
  }

  async judgeTotals({ shared, sharedCauses, tally }: Pick<Play, 'shared' | 'sharedCauses' | 'tally'>): Promise<void> {
    const operation: Operation = { kind: 'totals', folder: this.name }
    const reply = await this.child.ask(operation)
    const problem = failure(reply)
    const actual = actualOf(reply)
    const cuts = new CutOperations([], new Model(), sharedCauses)
    const cause = actual && cuts.causeOf(operation, { shared: true }, actual, false)
    if (cause) return tally.cut(operation, actual, cause)
    const misfits =
      actual && 'value' in actual
        ? shared.finish(actual.value as Totals)
        : [{ sort: 'late' in reply ? 'hang' : 'error', expected: 'success', actual: String(problem) } as const]
    for (const misfit of misfits) tally.find(misfit, operation, -1, -1, reply.ms)
  }

  /** What cannot be removed stays: the findings tell why. */
  async remove(): Promise<void> {
    await this.child.ask({ kind: 'clear', folder: this.name })
    await this.child.end()
  }
}
