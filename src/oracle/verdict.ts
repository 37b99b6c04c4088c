// What the oracle says in the end, and how it is put together while the processes work.

import type { Actual } from './answer.js'
import type { Cut } from './cuts.js'
import type { Misfit, Sort } from './judge.js'
import type { Kind, Operation } from './operations.js'
import { describe, type Feature, featureTable } from './operations.js'

export interface Finding extends Misfit {
  /** -1: of all processes together. */
  readonly process: number
  readonly step: number
  readonly kind: Kind
  readonly operation: string
  /** Since the run began, when the answer came. */
  readonly at_ms: number
  /** How long the operation took. */
  readonly took_ms: number
}

export interface KindResult {
  readonly count: number
  readonly longest_ms: number
  /** The step with the longest pause. */
  readonly longest_at: { readonly process: number; readonly step: number }
}

export interface Verdict {
  readonly clean: boolean
  readonly seed: number
  readonly processes: number
  readonly operations: number
  readonly seconds: number
  /** The same for the same operations. */
  readonly fingerprint: string
  /** What the file system cannot do, and so was not asked for. */
  readonly left: readonly Left[]
  readonly kinds: Readonly<Partial<Record<Kind, KindResult>>>
  /** How many there were of each sort; of `findings`, only the first are kept. */
  readonly sorts: Readonly<Record<Sort, number>>
  readonly findings: readonly Finding[]
  /** How often it met with what was known before. */
  readonly known: number
  /** How often it met with what a crash had cut in two, by what that was. */
  readonly cuts: Readonly<Record<string, number>>
}

export interface Left {
  readonly feature: Feature
  readonly reason: string
}

const MOST_FINDINGS = 200

export class Tally {
  readonly findings: Finding[] = []
  readonly sorts: Record<Sort, number> = { error: 0, lost: 0, doubled: 0, bytes: 0, hang: 0, died: 0 }
  readonly kinds: Partial<Record<Kind, KindResult>> = {}
  operations = 0
  known = 0
  readonly cuts: Record<string, number> = {}
  private readonly started = performance.now()

  get seconds(): number {
    return (performance.now() - this.started) / 1000
  }

  took(kind: Kind, ms: number, process: number, step: number): void {
    this.operations++
    const { count, longest_ms, longest_at } = this.kinds[kind] ?? {
      count: 0,
      longest_ms: -1,
      longest_at: { process, step },
    }
    const longer = ms > longest_ms
    this.kinds[kind] = {
      count: count + 1,
      longest_ms: longer ? Math.round(ms * 100) / 100 : longest_ms,
      longest_at: longer ? { process, step } : longest_at,
    }
  }

  cut({ kind }: Operation, actual: Actual, { why }: Cut): void {
    const what = `${kind} ${'errno' in actual ? actual.errno : 'bytes'}: ${why}`
    this.cuts[what] = (this.cuts[what] ?? 0) + 1
  }

  find(misfit: Misfit, operation: Operation, process: number, step: number, took_ms: number): Finding {
    const finding: Finding = {
      ...misfit,
      process,
      step,
      kind: operation.kind,
      operation: describe(operation),
      at_ms: Math.round(this.seconds * 1000),
      took_ms: Math.round(took_ms * 100) / 100,
    }
    this.sorts[misfit.sort]++
    if (this.findings.length < MOST_FINDINGS) this.findings.push(finding)
    return finding
  }
}

/** What findings of the same cause have in common: the kind of operation, what was due, and the error that came instead. */
export function sortOf({ sort, kind, expected, errno }: Pick<Finding, 'sort' | 'kind' | 'expected' | 'errno'>): string {
  const due = expected.replace(/^.*: /, '').split(' ', 1)[0]?.replace(/\d+/g, '#') ?? ''
  return `${sort} ${kind} ${due}${errno === undefined ? '' : ` ${errno}`}`
}

/** Which step, what was asked, what was due, what came. */
export const findingText = (finding: Finding): string => {
  const { sort, process, step, operation, expected, actual, at_ms, took_ms } = finding
  return `${sort} at step ${process}:${step} after ${at_ms} ms (${took_ms} ms): ${operation}\n  expected ${expected}\n  got      ${actual}`
}

/** The verdict as text: what was left out, a row per kind, what was found. */
export function verdictTable(verdict: Verdict): string {
  const { seed, processes, operations, seconds, kinds, left, findings, sorts, clean, known, cuts } = verdict
  const row = (...cells: (string | number)[]): string =>
    cells.map((cell, i) => (i === 0 ? String(cell).padEnd(12) : String(cell).padStart(12))).join('')
  return [
    `${operations} operations by ${processes} processes in ${seconds.toFixed(1)} s, seed ${seed}`,
    ...left.map(({ feature, reason }) => `left out: ${featureTable[feature]} (${reason})`),
    row('kind', 'count', 'longest ms', 'at step'),
    ...Object.entries(kinds)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([kind, { count, longest_ms, longest_at }]) =>
        row(kind, count, longest_ms, `${longest_at.process}:${longest_at.step}`),
      ),
    ...findings.map(findingText),
    ...(known > 0 ? [`${known} times what was known before`] : []),
    ...Object.entries(cuts).map(([what, count]) => `${count} times cut in two: ${what}`),
    clean
      ? 'clean'
      : Object.entries(sorts)
          .filter(([, count]) => count > 0)
          .map(([sort, count]) => `${count} ${sort}`)
          .join(', '),
  ].join('\n')
}
