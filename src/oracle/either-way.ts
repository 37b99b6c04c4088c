// Answers that are as right as the one the model knows, when the file system was crashed meanwhile: nobody can tell any more
// whether an earlier life had carried out the request, or the kernel finds the same fault by another check. Nothing has
// changed by them either way.
import type { Actual, Expectation } from './answer.js'
import type { Kind } from './operations.js'

export interface EitherWay {
  readonly kind: Kind
  readonly expected: string
  /** An errno, or null for success. */
  readonly actual: string | null
  /** Only of what was under way at a crash. */
  readonly underWay?: true
}

/** After a crash. */
const rows: readonly EitherWay[] = [
  // A removal that comes again and finds nothing has most likely been done the first time.
  { kind: 'removexattr', expected: 'ENODATA', actual: null, underWay: true },
  // What a folder is to another one the kernel knows by its names, and one that was looked up anew has another nodeid: then
  // the kinds of the two are compared first.
  { kind: 'rename', expected: 'ENOTEMPTY', actual: 'EISDIR' },
  { kind: 'rename', expected: 'ENOTEMPTY', actual: 'ENOTDIR' },
  { kind: 'rename', expected: 'EINVAL', actual: 'ENOTDIR' },
  { kind: 'rename', expected: 'EINVAL', actual: 'EISDIR' },
]

/** True if this is a row of the table, or of those after a crash. */
export function isEitherWay(
  kind: Kind,
  expected: Expectation,
  actual: Actual,
  { ways, hasCrashed, wasHit }: { ways: readonly EitherWay[]; hasCrashed: boolean; wasHit: boolean },
): boolean {
  if (!('errno' in expected)) return false
  const came = 'errno' in actual ? actual.errno : null
  return [...ways, ...(hasCrashed ? rows : [])].some(
    (row) =>
      row.kind === kind && row.expected === expected.errno && row.actual === came && (wasHit || row.underWay !== true),
  )
}
