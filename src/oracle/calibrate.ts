// Finds out what a file system can do, before it is judged by it.
import { impossible } from './answer.js'
import { basics, featureTrials } from './feature-trials.js'
import { judge } from './judge.js'
import { Model } from './model/model.js'
import { describe, type Feature, type Operation } from './operations.js'
import { DEADLINE_MS, type OracleOptions } from './options.js'
import { PerformingChild, type Reply } from './performing-child.js'
import type { Left } from './verdict.js'

/** The folder is none that the oracle can work in; `reason` says which operation failed. */
export class UnusableFolder extends Error {
  override readonly name = 'UnusableFolder'
  constructor(
    readonly folder: string,
    readonly reason: string,
  ) {
    super(`the oracle cannot work in ${folder}: ${reason}`)
  }
}

/**
 * Tries every feature in the folder of a run that is set up.
 * @throws UnusableFolder if not even files can be made and read
 */
export async function tryFeatures(root: string, options: OracleOptions): Promise<Left[]> {
  const bench = new TestBench(root, options)
  try {
    const problem = await bench.trial('basics', basics)
    if (problem !== undefined) throw new UnusableFolder(options.folder, problem)
    const left: Left[] = []
    for (const [feature, operations] of Object.entries(featureTrials)) {
      const reason = await bench.trial(feature, operations)
      if (reason !== undefined) left.push({ feature: feature as Feature, reason })
    }
    return left
  } finally {
    await bench.end()
  }
}

class TestBench {
  private child: PerformingChild | undefined

  constructor(
    private readonly root: string,
    private readonly options: OracleOptions,
  ) {}

  /** The first thing that is not as the model has it, if any. */
  async trial(name: string, operations: readonly Operation[]): Promise<string | undefined> {
    const { performer = [], deadline = DEADLINE_MS } = this.options
    this.child ??= new PerformingChild(this.root, performer.slice(0, 1), deadline)
    const { child } = this
    const folder = `trial-${name}`
    const tried =
      failure(await child.ask({ kind: 'enter', folder, inside: false })) ?? (await this.compare(child, operations))
    const left = failure(await child.ask({ kind: 'leave' })) ?? failure(await child.ask({ kind: 'clear', folder }))
    const problem = tried ?? left
    // It may hang, be gone, or have something open.
    if (problem !== undefined) await this.end()
    return problem
  }

  async end(): Promise<void> {
    await this.child?.end()
    this.child = undefined
  }

  private async compare(child: PerformingChild, operations: readonly Operation[]): Promise<string | undefined> {
    const model = new Model()
    for (const operation of operations) {
      const expected = model.apply(operation)
      if (expected === impossible) throw new TypeError(`the model has no answer to ${describe(operation)}`)
      const reply = await child.ask(operation)
      const misfit = 'actual' in reply ? judge(reply.actual, expected) : undefined
      const what = misfit ? `expected ${misfit.expected}, got ${misfit.actual}` : noAnswer(reply)
      if (what !== undefined) return `${describe(operation)}: ${what}`
    }
    return undefined
  }
}

export const noAnswer = (reply: Reply): string | undefined =>
  'ended' in reply ? `the process ended: ${reply.ended}` : 'late' in reply ? 'no answer in time' : undefined

/** Why an operation was not done. */
export const failure = (reply: Reply): string | undefined =>
  'actual' in reply && 'errno' in reply.actual ? (reply.actual.text ?? reply.actual.errno) : noAnswer(reply)
