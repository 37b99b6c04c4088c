// One process's part: chapter after chapter, each in a new folder with a new model, so that what is found in one leaves
// the next alone, and each can be repeated without those before. In the end of a chapter all that is there is compared.
import { createHash } from 'node:crypto'
import { type Expectation, impossible } from './answer.js'
import { ChapterJudge } from './chapter-judge.js'
import type { SharedCauses } from './cuts.js'
import { type Drawing, draw } from './generate.js'
import { Model } from './model/model.js'
import { describe, type Feature, type Operation } from './operations.js'
import { DEADLINE_MS, type OracleOptions } from './options.js'
import { actualOf, PerformingChild } from './performing-child.js'
import { Random } from './random.js'
import type { SharedJudge } from './shared.js'
import { sortOf, type Tally } from './verdict.js'

/** Steps of a chapter. Step s of a process belongs to chapter floor(s / STEPS). */
export const STEPS = 300
const MOST_DRAWS = 100

export interface Play {
  readonly options: OracleOptions & { readonly seed: number }
  /** The folder of the run, as seen by the performers. */
  readonly root: string
  readonly left: ReadonlySet<Feature>
  readonly shared: SharedJudge
  readonly sharedCauses: SharedCauses
  readonly tally: Tally
  readonly progress: () => void
}

export class Player {
  private child: PerformingChild
  private readonly hash = createHash('sha1')
  private judge: ChapterJudge
  /** A hung child may be stuck in the kernel, and the next would be too. */
  private hung = false

  constructor(
    private readonly play: Play,
    private readonly process: number,
  ) {
    this.child = this.start()
    this.judge = this.judgeOf(new Model())
  }

  /** Plays to the end. The fingerprint of all operations. */
  async run(): Promise<string> {
    const { operations = this.play.options.seconds ? Number.POSITIVE_INFINITY : 1000, only } = this.play.options
    const last = only ? Math.max(...only.steps.map(([, to]) => to)) + 1 : operations
    try {
      for (let first = 0; first < last && !this.over; first += STEPS)
        if (this.isWanted(first, first + STEPS - 1)) await this.chapter(first, Math.min(first + STEPS, last))
    } finally {
      await this.child.end()
    }
    return this.hash.digest('hex')
  }

  private start(): PerformingChild {
    const { performer = [], deadline = DEADLINE_MS } = this.play.options
    return new PerformingChild(this.play.root, performer, deadline)
  }

  private judgeOf(model: Model): ChapterJudge {
    return new ChapterJudge(this.play.options, model, this.play.sharedCauses)
  }

  private get over(): boolean {
    const { seconds = Number.POSITIVE_INFINITY, signal, untilFound = false } = this.play.options
    const { tally } = this.play
    if (untilFound && tally.findings.length > 0) return true
    return this.hung || signal?.aborted === true || tally.seconds >= seconds
  }

  private async chapter(first: number, end: number): Promise<void> {
    const { left, options } = this.play
    const chapter = Math.floor(first / STEPS)
    const folder = `process-${this.process}-${chapter}`
    const random = new Random(options.seed, this.process, chapter)
    const plan = new Model(left)
    const model = options.only ? new Model(left) : plan
    this.judge = this.judgeOf(model)
    const counts = { race: 0 }
    // With a working directory in it, and without.
    const inside = (this.process + chapter) % 2 === 0
    let good = await this.house({ kind: 'enter', folder, inside }, first)
    for (let step = first; good && step < end && !this.over; step++) {
      const drawn = this.next({ model: plan, random, process: this.process, step, chapter, counts })
      if (!drawn || !this.isWanted(step, step)) continue
      const expected = model === plan ? drawn.expected : model.apply(drawn.operation)
      if (expected !== impossible) good = await this.step(drawn.operation, expected, step)
    }
    await this.close(folder, model, end - 1, good)
    this.play.progress()
  }

  /** Draws until the model has an answer; it is then at the state after it. */
  private next(drawing: Drawing): { operation: Operation; expected: Expectation } | undefined {
    for (let i = 0; i < MOST_DRAWS; i++) {
      const operation = draw(drawing)
      const expected = operation && drawing.model.apply(operation)
      if (operation && expected !== undefined && expected !== impossible) return { operation, expected }
    }
    return undefined
  }

  private async close(folder: string, model: Model, step: number, good: boolean): Promise<void> {
    if (this.hung) return
    const { beneath } = this.play.options
    const entries = model.snapshot()
    const root = this.play.root.slice(this.play.options.folder.length + 1)
    let still = good && (await this.house({ kind: 'leave' }, step))
    still &&= await this.house({ kind: 'sync', folder }, step)
    still &&= await this.house({ kind: 'snapshot', folder }, step, { entries })
    if (beneath !== undefined)
      still &&= await this.house({ kind: 'snapshot', folder, beneath: `${beneath}/${root}` }, step, { entries })
    if (still) await this.house({ kind: 'clear', folder }, step)
    else {
      // What is there is not as it should be: no judgement on how it goes.
      await this.child.ask({ kind: 'leave' })
      await this.child.ask({ kind: 'clear', folder })
    }
  }

  private house(operation: Operation, step: number, expected: Expectation = { done: true }): Promise<boolean> {
    return this.step(operation, expected, step)
  }

  /** Has it done. True if it was as expected. */
  private async step(operation: Operation, expected: Expectation, step: number): Promise<boolean> {
    const { tally, shared } = this.play
    const text = describe(operation)
    this.hash.update(`${text}\n`)
    this.play.options.onOperation?.(this.process, step, text)
    this.judge.asking()
    const reply = await this.child.ask(operation)
    tally.took(operation.kind, reply.ms, this.process, step)
    const actual = actualOf(reply)
    const judged = this.judge.answered(operation, expected, actual)
    let { misfit } = judged
    if ('late' in reply) {
      misfit = { sort: 'hang', expected: 'an answer', actual: 'none' }
      this.hung = true
    } else if ('ended' in reply) {
      misfit = { sort: 'died', expected: 'an answer', actual: reply.ended }
      await this.child.end()
      this.child = this.start()
    }
    misfit ??= shared.take(operation, actual)
    if (actual === undefined) shared.take(operation, undefined)
    if (!misfit) return true
    if (actual && judged.cause) {
      tally.cut(operation, actual, judged.cause)
      // What belongs to all is none of the model's, which has gone another way otherwise.
      return 'shared' in expected
    }
    if (this.play.options.known?.has(sortOf({ ...misfit, kind: operation.kind }))) tally.known++
    else tally.find(misfit, operation, this.process, step, reply.ms)
    this.play.progress()
    return false
  }

  /** True if any of these steps is to be done. */
  private isWanted(from: number, to: number): boolean {
    const { only } = this.play.options
    return !only || only.steps.some(([first, last]) => first <= to && last >= from)
  }
}
