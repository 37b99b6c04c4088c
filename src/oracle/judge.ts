// Compares what an operation gave with what the model expects, and says what kind of misfit it is.
import type { Actual, Entry, Expectation, ExpectedEntry, Facts } from './answer.js'
import type { Reading } from './model/tree.js'

/**
 * - error: it failed, or with another errno, where it should not
 * - lost: an effect that was acknowledged is not there
 * - doubled: an effect is there more than once
 * - bytes: bytes, or a fact, that nobody made so
 * - hang: no answer within the deadline
 * - died: the process that asked was ended by a signal
 */
export type Sort = 'error' | 'lost' | 'doubled' | 'bytes' | 'hang' | 'died'

export interface Misfit {
  readonly sort: Sort
  readonly expected: string
  readonly actual: string
  readonly errno?: string
}

/** Undefined if it is as it should be. */
export function judge(actual: Actual, expected: Expectation): Misfit | undefined {
  if ('errno' in actual) {
    if ('errno' in expected && expected.errno === actual.errno) return undefined
    const text = actual.text === undefined ? actual.errno : actual.text
    return { sort: 'error', expected: brief(expected), actual: text, errno: actual.errno }
  }
  const { value } = actual
  // What is there, or gone, by an earlier operation should have made it fail.
  if ('errno' in expected) return misfit('lost', expected.errno, 'success')
  if ('done' in expected || 'shared' in expected) return undefined
  if ('count' in expected) return value === expected.count ? undefined : misfit('bytes', expected.count, value)
  if ('text' in expected) return value === expected.text ? undefined : misfit('lost', expected.text, value)
  if ('bytes' in expected) return judgeBytes(value as Buffer, expected.bytes, expected.older, expected.file.bytes)
  if ('facts' in expected) return judgeFacts(value as Facts, expected.facts)
  if ('names' in expected) return judgeNames(value as readonly string[], expected.names)
  if ('reading' in expected) return judgeReading(value as readonly string[], expected.reading)
  return judgeEntries(value as readonly Entry[], expected.entries)
}

const misfit = (sort: Sort, expected: unknown, actual: unknown): Misfit => ({
  sort,
  expected: String(expected),
  actual: String(actual),
})

function brief(expected: Expectation): string {
  return 'errno' in expected ? expected.errno : 'success'
}

const none = Buffer.alloc(0)
/** So many bytes of a pattern are unlike any others. */
const TELLING = 16

/**
 * As they were before their last change: that was lost. Bytes of the same file that belong elsewhere in it: doubled.
 * @param whole the file
 */
function judgeBytes(actual: Buffer, expected: Buffer, older: Buffer, whole: Buffer): Misfit | undefined {
  if (actual.equals(expected)) return undefined
  const longer = Math.max(actual.length, expected.length)
  let at = 0
  while (actual[at] === expected[at]) at++
  const show = (bytes: Buffer): string =>
    `${bytes.length} bytes, from ${at}: ${JSON.stringify(bytes.toString('latin1', at, at + 32))}`
  let isOlder = actual.length <= Math.max(expected.length, older.length)
  for (let i = at; i < longer && isOlder; i++)
    isOlder = actual[i] === expected[i] || actual[i] === (older[i] ?? 0) || i >= actual.length
  const run = actual.subarray(at, at + TELLING)
  const isElsewhere = actual.length > expected.length || (run.length === TELLING && whole.includes(run))
  return misfit(isOlder ? 'lost' : isElsewhere ? 'doubled' : 'bytes', show(expected), show(actual))
}

function judgeFacts(actual: Facts, expected: Facts): Misfit | undefined {
  for (const name of ['type', 'size', 'mode', 'links', 'mtime'] as const) {
    if (expected[name] === undefined || actual[name] === expected[name]) continue
    const more = name === 'size' && Number(actual.size) > Number(expected.size)
    return misfit(more ? 'doubled' : 'lost', `${name} ${shown(name, expected)}`, `${name} ${shown(name, actual)}`)
  }
  return undefined
}

const shown = (name: keyof Facts, facts: Facts): unknown => (name === 'mode' ? facts.mode?.toString(8) : facts[name])

function judgeNames(actual: readonly string[], expected: readonly string[]): Misfit | undefined {
  const missing = expected.filter((name) => !actual.includes(name))
  if (missing.length > 0) return misfit('lost', `with ${missing.join(', ')}`, actual.join(', '))
  const more = actual.filter((name) => !expected.includes(name))
  // A removal that was acknowledged and is not to be seen.
  if (more.length > 0) return misfit('lost', `without ${more.join(', ')}`, actual.join(', '))
  const twice = actual.filter((name, i) => actual.indexOf(name) !== i)
  return twice.length > 0 ? misfit('doubled', 'each name once', `${twice.join(', ')} twice`) : undefined
}

function judgeReading(names: readonly string[], { sure, maybe, seen }: Reading): Misfit | undefined {
  for (const name of names) {
    if (!sure.has(name) && !maybe.has(name)) return misfit('bytes', 'no such name', name)
    if (seen.has(name) && !maybe.has(name)) return misfit('doubled', 'each name once', `${name} again`)
    seen.add(name)
  }
  if (names.length > 0) return undefined
  const missing = [...sure].filter((name) => !seen.has(name))
  return missing.length > 0 ? misfit('lost', `also ${missing.join(', ')}`, 'the end of the folder') : undefined
}

function judgeEntries(actual: readonly Entry[], expected: readonly ExpectedEntry[]): Misfit | undefined {
  const byPath = new Map(actual.map((entry) => [entry.path, entry]))
  for (const entry of expected) {
    const found = byPath.get(entry.path)
    if (!found) return misfit('lost', `${entry.path} is there`, 'it is not')
    const problem =
      judgeFacts(found.facts, entry.facts) ??
      (entry.bytes && judgeBytes(found.bytes ?? none, entry.bytes, entry.older ?? none, entry.bytes)) ??
      judgeTexts(found, entry)
    if (problem) return { ...problem, expected: `${entry.path}: ${problem.expected}` }
  }
  const paths = new Set(expected.map(({ path }) => path))
  const more = actual.find(({ path }) => !paths.has(path))
  return more && misfit('lost', `${more.path} is not there`, 'it is')
}

function judgeTexts(actual: Entry, expected: ExpectedEntry): Misfit | undefined {
  const text = ({ target, xattrs }: Entry): string =>
    `${target ?? ''}${Object.entries(xattrs)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => ` ${name}=${value}`)
      .join('')}`
  return text(actual) === text(expected) ? undefined : misfit('lost', text(expected), text(actual))
}
