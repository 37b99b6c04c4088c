// Which answers are as right as the one that the model knows: after a crash, of what was under way at one, and of a daemon.
import t from 'tap'
import { type EitherWay, isEitherWay } from '../../src/oracle/either-way.js'
import type { Kind } from '../../src/oracle/operations.js'

const ways: EitherWay[] = [{ kind: 'rename', expected: 'ENOTEMPTY', actual: 'EPERM' }]
const success = null

/** A kind of operation, the errno that is due, and what comes; and when it is right. */
const rows: [kind: Kind, due: string, came: string | null, calm: boolean, crashed: boolean, hit: boolean][] = [
  ['removexattr', 'ENODATA', success, false, false, true],
  ['removexattr', 'ENOENT', success, false, false, false],
  ['setxattr', 'ENODATA', success, false, false, false],
  ['rename', 'EINVAL', 'ENOTDIR', false, true, true],
  ['rename', 'ENOTEMPTY', 'EPERM', true, true, true],
  ['rmdir', 'ENOTEMPTY', 'EPERM', false, false, false],
]

t.test('an answer is right in its time', async (t) => {
  for (const [kind, errno, came, ...right] of rows) {
    const actual = came === null ? { value: null } : { errno: came }
    const times = [
      { hasCrashed: false, wasHit: false },
      { hasCrashed: true, wasHit: false },
      { hasCrashed: true, wasHit: true },
    ]
    const found = times.map((time) => isEitherWay(kind, { errno }, actual, { ways, ...time }))
    t.same(found, right, `${kind}: ${came ?? 'success'} for ${errno}`)
    t.notOk(isEitherWay(kind, { done: true }, actual, { ways, hasCrashed: true, wasHit: true }), 'not for success')
  }
})
