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
  const problem = await trial(root, options, 'basics', basics)
  if (problem !== undefined) throw new UnusableFolder(options.folder, problem)
  const left: Left[] = []
  for (const [feature, operations] of Object.entries(featureTrials)) {
    const reason = await trial(root, options, feature, operations)
    if (reason !== undefined) left.push({ feature: feature as Feature, reason })
  }
  return left
}

/** The first thing that is not as the model has it, if any. */
async function trial(
  root: string,
  { performer = [], deadline = DEADLINE_MS }: OracleOptions,
  name: string,
  operations: readonly Operation[],
): Promise<string | undefined> {
  const child = new PerformingChild(root, performer.slice(0, 1), deadline)
  const model = new Model()
  const folder = `trial-${name}`
  try {
    let problem = failure(await child.ask({ kind: 'enter', folder, inside: false }))
    for (const operation of operations) {
      if (problem !== undefined) break
      const expected = model.apply(operation)
      if (expected === impossible) throw new TypeError(`the model has no answer to ${describe(operation)}`)
      const reply = await child.ask(operation)
      const misfit = 'actual' in reply ? judge(reply.actual, expected) : undefined
      const what = misfit ? `expected ${misfit.expected}, got ${misfit.actual}` : noAnswer(reply)
      if (what !== undefined) problem = `${describe(operation)}: ${what}`
    }
    await child.ask({ kind: 'leave' })
    const cleared = failure(await child.ask({ kind: 'clear', folder }))
    return problem ?? cleared
  } finally {
    await child.end()
  }
}

export const noAnswer = (reply: Reply): string | undefined =>
  'ended' in reply ? `the process ended: ${reply.ended}` : 'late' in reply ? 'no answer in time' : undefined

/** Why an operation was not done. */
export const failure = (reply: Reply): string | undefined =>
  'actual' in reply && 'errno' in reply.actual ? (reply.actual.text ?? reply.actual.errno) : noAnswer(reply)
