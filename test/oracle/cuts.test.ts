// What a crash cut in two, and what of it is forgiven: no more than is declared, and of no more than was under way.
import t from 'tap'
import type { Actual } from '../../src/oracle/answer.js'
import { Crashes } from '../../src/oracle/crashes.js'
import { type Cut, CutOperations, type SharedCauses } from '../../src/oracle/cuts.js'
import { Model } from '../../src/oracle/model/model.js'
import type { Operation } from '../../src/oracle/operations.js'

const mkdir: Cut = { of: ['mkdir'], errno: 'EIO', why: 'in two steps' }
const truncate: Cut = { of: ['truncate', 'ftruncate'], block: 100, why: 'whole blocks first' }
const write: Cut = { of: ['write', 'pwrite'], errno: 'EIO', block: 100, why: 'torn' }
const cuts = [mkdir, truncate, write]

const open = (file: number, path: string): Operation => {
  const flags = { append: false, create: true, exclusive: false, truncate: false, mode: 0o644 }
  return { kind: 'open', file, path, access: 'both', ...flags }
}
const by = { process: 0, step: 1 }
const folder = (path: string): Operation => ({ kind: 'mkdir', path, mode: 0o755 })
const stat = (path: string): Operation => ({ kind: 'stat', path })
const pwrite = (file: number, offset: number, length: number): Operation => {
  return { kind: 'pwrite', file, offset, length, ...by }
}
const ftruncate = (file: number, size: number): Operation => ({ kind: 'ftruncate', file, size })
const pread = (file: number, offset = 0): Operation => ({ kind: 'pread', file, offset, length: 1000 })
const log: Operation = { kind: 'log', line: 'a line' }
const snapshot: Operation = { kind: 'snapshot', folder: 'any' }

type Change = (bytes: Buffer) => Buffer
const same: Change = (bytes) => bytes
const zeroed =
  (from: number, to: number): Change =>
  (bytes) =>
    Buffer.from(bytes).fill(0, from, to)

/** What came: an errno, or the bytes that were due, changed. */
type Came = string | Change
/** An operation, whether a crash met it, and what it gave; true if that is forgiven. Those that give nothing are as due. */
type Step = readonly [Operation, 'hit' | 'calm', Came?, boolean?]

const rows: Record<string, readonly Step[]> = {
  'what was under way may end as declared': [[folder('d'), 'hit', 'EIO', true]],
  'and not otherwise': [[folder('d'), 'hit', 'ENOENT', false]],
  'nor what was not under way': [[folder('d'), 'calm', 'EIO', false]],
  'nor another kind of operation': [[stat('d'), 'hit', 'EIO', false]],
  'what was made by half fails later, and what is in it': [
    [folder('d'), 'hit'],
    [folder('e'), 'calm'],
    [stat('e'), 'calm', 'EIO', false],
    [stat('d'), 'calm', 'EIO', true],
    [stat('d/none'), 'calm', 'EIO', true],
    [stat('d/none'), 'calm', 'EACCES', false],
    [snapshot, 'calm', 'EIO', true],
  ],
  'it is still the same when it has another name': [
    [folder('d'), 'hit'],
    [{ kind: 'rename', from: 'd', to: 'e', how: 'replace' }, 'calm'],
    [stat('e'), 'calm', 'EIO', true],
  ],
  'all that is there is looked at without': [
    [folder('d'), 'calm'],
    [snapshot, 'calm', 'EIO', false],
  ],
  'bytes of the blocks that were changed may be others': [
    [open(0, 'a'), 'calm'],
    [pwrite(0, 0, 300), 'calm'],
    [ftruncate(0, 250), 'hit'],
    [pread(0), 'calm', zeroed(200, 250), true],
    [pread(0, 150), 'calm', zeroed(50, 100), true],
    [pread(0), 'calm', zeroed(199, 250), false],
    [pread(0), 'calm', (bytes) => bytes.subarray(0, 200), true],
    [pread(0), 'calm', 'EIO', false],
  ],
  'also when all is looked at': [
    [open(0, 'a'), 'calm'],
    [pwrite(0, 0, 300), 'hit'],
    [open(1, 'b'), 'calm'],
    [pwrite(1, 0, 300), 'calm'],
    [snapshot, 'calm', same, false],
    [snapshot, 'calm', zeroed(7, 9), true],
  ],
  'what was written anew as a whole is as it should be': [
    [open(0, 'a'), 'calm'],
    [pwrite(0, 0, 300), 'hit'],
    [pwrite(0, 100, 150), 'calm'],
    [pread(0), 'calm', zeroed(90, 91), true],
    [pread(0), 'calm', zeroed(150, 151), false],
    [pread(0), 'calm', zeroed(240, 241), true],
  ],
  'what belongs to all fails for all': [
    [{ kind: 'log', line: 'another line' }, 'calm'],
    [log, 'calm', 'EIO', false],
    [log, 'hit', 'EIO', true],
    [{ kind: 'log', line: 'another line' }, 'calm', 'EIO', true],
    [{ kind: 'count', counter: 'flock' }, 'calm', 'EIO', false],
    [{ kind: 'totals', folder: 'any' }, 'calm', 'EIO', true],
  ],
}

for (const [what, steps] of Object.entries(rows))
  t.test(what, async (t) => {
    const model = new Model()
    const shared: SharedCauses = new Map()
    const operations = new CutOperations(cuts, model, shared)
    for (const [operation, when, came, isForgiven] of steps) {
      const applied = model.apply(operation)
      const entries = model.snapshot()
      const expected = applied === 'impossible' ? { entries } : applied
      operations.take(operation, when === 'hit')
      if (came === undefined) continue
      const cause = operations.causeOf(operation, expected, answer(came, expected), when === 'hit')
      t.equal(cause !== undefined, isForgiven, JSON.stringify(operation))
    }
  })

function answer(came: Came, expected: object): Actual {
  if (typeof came === 'string') return { errno: came }
  if ('bytes' in expected) return { value: came(expected.bytes as Buffer) }
  const { entries } = expected as { entries: ReturnType<Model['snapshot']> }
  return {
    value: entries.map(({ bytes, file: _, older: __, ...entry }, i) => {
      return { ...entry, ...(bytes && { bytes: i === 0 ? came(bytes) : bytes }) }
    }),
  }
}

t.test('what was under way at a crash is what began before its end and ended after its beginning', async (t) => {
  const crashes = new Crashes()
  t.notOk(crashes.hit(0, Number.POSITIVE_INFINITY), 'none yet')
  const before = performance.now()
  const isDead = crashes.begin()
  t.notOk(crashes.hit(0, before - 1))
  t.ok(crashes.hit(0, performance.now()))
  t.ok(crashes.hit(performance.now() + 10, performance.now() + 20), 'as long as it is not known to be dead')
  isDead()
  const after = performance.now()
  t.notOk(crashes.hit(after + 1, after + 2))
  t.ok(crashes.hit(before, after + 2))
})
