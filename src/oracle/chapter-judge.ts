// Judges the answers of one chapter: by the model, and where there are crashes or a daemon with ways of its own, by what else
// is right then.
import { Aliases } from './aliases.js'
import type { Actual, Expectation } from './answer.js'
import { type Cut, CutOperations, type SharedCauses } from './cuts.js'
import { isEitherWay } from './either-way.js'
import { judge, type Misfit } from './judge.js'
import type { Model } from './model/model.js'
import type { Operation } from './operations.js'
import { ATTR_TIMEOUT_MS, type OracleOptions } from './options.js'

export class ChapterJudge {
  private readonly cuts: CutOperations
  private readonly aliases: Aliases
  private from = 0

  constructor(
    private readonly options: OracleOptions,
    model: Model,
    shared: SharedCauses,
  ) {
    this.cuts = new CutOperations(options.cuts ?? [], model, shared)
    this.aliases = new Aliases(model, options.attrTimeout ?? ATTR_TIMEOUT_MS)
  }

  /** The model has done it, and it is about to be asked for. */
  asking(): void {
    this.from = performance.now()
    this.aliases.take(this.from)
  }

  /** The answer has come, if there was any. What is wrong, and the cut that it comes of, if it does. */
  answered(
    operation: Operation,
    expected: Expectation,
    actual: Actual | undefined,
  ): { readonly misfit?: Misfit | undefined; readonly cause?: Cut | undefined } {
    const wasHit = this.options.crashes?.hit(this.from, performance.now()) ?? false
    this.cuts.take(operation, wasHit)
    if (!actual) return {}
    const misfit = this.misfit(operation, expected, actual, wasHit)
    return { misfit, cause: misfit && this.cuts.causeOf(operation, expected, actual, wasHit) }
  }

  private misfit(operation: Operation, expected: Expectation, actual: Actual, wasHit: boolean): Misfit | undefined {
    const { ways = [], crashes } = this.options
    const hasCrashed = crashes?.any === true
    const misfit = judge(actual, expected)
    if (!misfit || isEitherWay(operation.kind, expected, actual, { ways, hasCrashed, wasHit })) return undefined
    if (!hasCrashed || 'errno' in actual || !('facts' in expected || 'entries' in expected)) return misfit
    return judge(actual, this.aliases.allowing(operation, expected, actual.value, this.from))
  }
}
