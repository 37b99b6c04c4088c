// An exchange of two names that was sent again: whether it was done, the kernel's cached inode numbers tell.
import t from 'tap'
import { opcodes } from '../../../src/fuse/opcodes.js'
import { type Cached, withResolver } from '../played-resolver.js'
import { entry, halves, name, RESENT, words } from '../scene.js'

const RENAME2 = opcodes.RENAME2.number
const EAGAIN = 11
const EIO = 5
const FOLDER = 0o040755
const exchange = [words(1n), halves(2, 0), name('a'), name('b')]

interface Row {
  /** What the kernel had as `a` and as `b`; null if it has not any more. */
  readonly cached: readonly [Cached | null, Cached | null]
  /** What they are now. */
  readonly now: readonly [{ ino: bigint; mode?: number }, { ino: bigint; mode?: number }]
  readonly expected: 'done' | 'not done' | 'unknown'
}
const rows: Record<string, Row> = {
  'as before': { cached: [{ ino: 77n }, { ino: 78n }], now: [{ ino: 77n }, { ino: 78n }], expected: 'not done' },
  exchanged: { cached: [{ ino: 77n }, { ino: 78n }], now: [{ ino: 78n }, { ino: 77n }], expected: 'done' },
  'one is known': { cached: [null, { ino: 78n }], now: [{ ino: 78n }, { ino: 77n }], expected: 'done' },
  'nothing is known': { cached: [null, null], now: [{ ino: 77n }, { ino: 78n }], expected: 'unknown' },
  'other files': { cached: [{ ino: 77n }, { ino: 78n }], now: [{ ino: 5n }, { ino: 6n }], expected: 'unknown' },
  'the numbers are nodeids': {
    cached: [{ ino: 50n }, { ino: 51n }],
    now: [{ ino: 7n }, { ino: 8n }],
    expected: 'unknown',
  },
  'the kinds tell it': {
    cached: [{ ino: 50n, mode: FOLDER }, { ino: 51n }],
    now: [{ ino: 8n }, { ino: 7n, mode: FOLDER }],
    expected: 'done',
  },
}

for (const [what, { cached, now, expected }] of Object.entries(rows))
  t.test(`an exchange that was sent again, ${what}: ${expected}`, async (t) => {
    const { scene, resolver } = withResolver(t)
    scene.ask('RENAME2', RESENT | 2n, 1n, ...exchange)
    t.same([scene.asked(), scene.told()], [[], []], 'it waits')
    for (const [i, each] of cached.entries()) {
      const op = each ? resolver.answer('/x', each, 50n + BigInt(i)) : resolver.refuse(EAGAIN)
      t.equal(op, 'CHILD')
    }
    // The names that it moves, and once more to compare.
    const entries = now.map(({ ino, mode = 0o100644 }, i) => entry(BigInt(7 + i), { ino, mode }))
    for (const each of [...entries, ...entries]) scene.willSay(0, each)
    for (const _ of entries) scene.willForget()
    if (expected === 'not done') scene.queue(2n, 0)
    scene.stale.redo()
    const renames = scene.asked().filter(({ opcode }) => opcode === RENAME2)
    t.match(renames, expected === 'not done' ? [{ unique: 2n }] : [])
    t.match(scene.told(), [{ unique: RESENT | 2n, error: expected === 'unknown' ? -EIO : 0 }])
    t.same(scene.reports, expected === 'unknown' ? ['a resent request cannot be repeated'] : [])
  })
