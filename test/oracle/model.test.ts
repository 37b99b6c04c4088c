// The model itself: operations and what they must give, without any file system.
import t from 'tap'
import type { Expectation } from '../../src/oracle/answer.js'
import { Model } from '../../src/oracle/model/model.js'
import type { Arguments, Operation } from '../../src/oracle/operations.js'
import { pattern } from '../../src/oracle/pattern.js'

const open = (file: number, path: string, more: Partial<Arguments['open']> = {}): Operation => {
  const flags = { append: false, create: true, exclusive: false, truncate: false, mode: 0o644 }
  return { kind: 'open', file, path, access: 'both', ...flags, ...more }
}
const write = (file: number, length: number, step = 1): Operation => ({ kind: 'write', file, length, process: 0, step })
const pread = (file: number): Operation => ({ kind: 'pread', file, offset: 0, length: 1000 })
const mkdir = (path: string): Operation => ({ kind: 'mkdir', path, mode: 0o755 })
const rename = (from: string, to: string, how: Arguments['rename']['how'] = 'replace'): Operation => {
  return { kind: 'rename', from, to, how }
}
const stat = (path: string): Operation => ({ kind: 'stat', path })
const flock = (file: number, lock: Arguments['flock']['lock']): Operation => ({ kind: 'flock', file, lock })

const done = 'done'
/** Each row: the operations, and what each gives. */
const rows: Record<string, [Operation, unknown][]> = {
  'a file is made once': [
    [open(0, 'a', { create: false }), 'ENOENT'],
    [open(0, 'a'), done],
    [open(1, 'a', { exclusive: true }), 'EEXIST'],
    [open(1, 'a/b'), 'ENOTDIR'],
    [open(1, 'none/b'), 'ENOENT'],
    [mkdir('a'), 'EEXIST'],
  ],
  'writes go where the position, the offset or the end is': [
    [open(0, 'a'), done],
    [write(0, 20), 20],
    [open(1, 'a', { append: true }), done],
    [write(1, 5, 2), 5],
    [write(0, 3, 3), 3],
    [pread(0), Buffer.concat([pattern(0, 1, 20), pattern(0, 3, 3), pattern(0, 2, 5).subarray(3)])],
    [{ kind: 'ftruncate', file: 0, size: 2 }, done],
    [pread(1), pattern(0, 1, 2)],
    [open(2, 'a', { access: 'read' }), done],
    [write(2, 1), 'EBADF'],
    [{ kind: 'ftruncate', file: 2, size: 0 }, 'EINVAL'],
  ],
  'a file without a name lives on': [
    [open(0, 'a'), done],
    [write(0, 4), 4],
    [{ kind: 'unlink', path: 'a' }, done],
    [stat('a'), 'ENOENT'],
    [pread(0), pattern(0, 1, 4)],
    [
      { kind: 'fstat', file: 0 },
      { type: 'file', size: 4, links: 0, mode: 0o644 },
    ],
  ],
  'links share their file': [
    [open(0, 'a'), done],
    [{ kind: 'link', from: 'a', to: 'b' }, done],
    [stat('b'), { type: 'file', size: 0, links: 2, mode: 0o644 }],
    [rename('a', 'b'), done],
    [stat('a'), { type: 'file', size: 0, links: 2, mode: 0o644 }],
  ],
  'renaming follows the rules': [
    [mkdir('d'), done],
    [mkdir('d/e'), done],
    [open(0, 'f'), done],
    [rename('none', 'x'), 'ENOENT'],
    [rename('d', 'd/e/x'), 'EINVAL'],
    [rename('d/e', 'd'), 'ENOTEMPTY'],
    [rename('f', 'd'), 'EISDIR'],
    [rename('d', 'f'), 'ENOTDIR'],
    [rename('f', 'd', 'noreplace'), 'EEXIST'],
    [rename('f', 'none', 'exchange'), 'ENOENT'],
    [rename('f', 'd', 'exchange'), done],
    [{ kind: 'readdir', path: 'f' }, ['e']],
    [mkdir('g'), done],
    [rename('f/e', 'g'), done],
    [{ kind: 'rmdir', path: 'f' }, done],
    [{ kind: 'rmdir', path: 'd' }, 'ENOTDIR'],
  ],
  'symbolic links are followed': [
    [{ kind: 'symlink', target: 'l', path: 'l' }, done],
    [open(0, 'l'), 'ELOOP'],
    [{ kind: 'symlink', target: 'a', path: 'm' }, done],
    [open(0, 'm'), done],
    [stat('a'), { type: 'file', size: 0, links: 1, mode: 0o644 }],
    [stat('m'), { type: 'symlink', size: 1 }],
    [{ kind: 'readlink', path: 'a' }, 'EINVAL'],
  ],
  'locks are in each other’s way': [
    [open(0, 'a'), done],
    [open(1, 'a'), done],
    [flock(0, 'shared'), done],
    [flock(1, 'shared'), done],
    [flock(1, 'exclusive'), 'EAGAIN'],
    [flock(0, 'exclusive'), done],
    [{ kind: 'close', file: 0 }, 'impossible'],
  ],
}

t.test('every operation has its answer', async (t) => {
  for (const [what, steps] of Object.entries(rows))
    await t.test(what, async (t) => {
      const model = new Model()
      for (const [operation, expected] of steps) {
        const given = model.apply(operation)
        t.same(given === 'impossible' ? given : plain(given), expected, JSON.stringify(operation))
      }
    })
})

t.test('what a folder shows that is read bit by bit is sure as long as nobody can take it for changed', async (t) => {
  const opendir = (folder: number): Operation => ({ kind: 'opendir', folder, path: '' })
  for (const [left, before, sure] of [
    [[], [mkdir('a')], ['a']],
    [['changingRead'], [mkdir('a')], []],
    [['changingRead'], [mkdir('a'), stat('')], ['a']],
  ] as const) {
    const model = new Model(new Set(left))
    for (const operation of before) model.apply(operation)
    model.apply(opendir(0))
    const given = model.apply({ kind: 'readSome', folder: 0, room: 100 })
    if (given === 'impossible' || !('reading' in given)) throw new Error('not read')
    t.same([...given.reading.sure], sure)
    t.same([...given.reading.maybe], sure.length > 0 ? [] : ['a'])
  }
})

/** What an expectation says, in short. */
function plain(expected: Expectation): unknown {
  if ('errno' in expected) return expected.errno
  if ('done' in expected) return done
  if ('count' in expected) return expected.count
  if ('bytes' in expected) return expected.bytes
  if ('facts' in expected) return expected.facts
  return 'names' in expected ? expected.names : expected
}
