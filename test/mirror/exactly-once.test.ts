import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MirrorLives } from '../fixtures/mirror-lives.js'
import { placeFor } from '../fixtures/place.js'
import { snapshot } from '../fixtures/snapshot.js'
import { type Call, type Operand, SyscallApplication } from '../fixtures/syscalls.js'
import { as, at, buf, file, O_CREAT, O_EXCL, p, r, room, rows } from './operations.js'

t.setTimeout(170_000)
// They mostly wait for processes to start.
t.jobs = 2

interface Row {
  /** The request that kills the life. */
  readonly opcode: string
  readonly what: string
  readonly before: readonly Call[]
  readonly calls: readonly Call[]
}

const O_WRONLY_APPEND = 0o2001
const O_TMPFILE_RDWR: Operand = { perArch: { x64: 0o20200002, arm64: 0o20040002 } }
const AT_REMOVEDIR = 0x200
const AT_EMPTY_PATH = 0x1000
const [RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT] = [1, 2, 4]
const [XATTR_CREATE, XATTR_REPLACE] = [1, 2]
const two = rows(file('a', 'of a'), file('b', 'of b'))
const withAttribute: Call[] = rows(file('a'), ['setxattr', p('a'), 'user.x', buf('old'), 3, 0])

const table: readonly Row[] = [
  { opcode: 'MKDIR', what: 'mkdir', before: [], calls: [['mkdirat', at, p('d'), 0o751]] },
  { opcode: 'MKNOD', what: 'mknod', before: [], calls: [['mknodat', at, p('fifo'), 0o010640, 0]] },
  { opcode: 'SYMLINK', what: 'symlink', before: [], calls: [['symlinkat', 'target', at, p('l')]] },
  { opcode: 'LINK', what: 'link', before: file('a'), calls: [['linkat', at, p('a'), at, p('b'), 0]] },
  {
    opcode: 'LINK',
    what: 'a link that names a file without one',
    before: [['openat', at, p(''), O_TMPFILE_RDWR, 0o640, as('nameless')]],
    calls: [
      ['linkat', r('nameless'), '', at, p('named'), AT_EMPTY_PATH],
      ['write', r('nameless'), buf('text'), 4],
    ],
  },
  {
    opcode: 'CREATE',
    what: 'create, exclusively',
    before: [],
    calls: [
      ['openat', at, p('f'), O_CREAT | O_EXCL | 1, 0o640, as('f')],
      ['write', r('f'), buf('text'), 4],
    ],
  },
  {
    opcode: 'CREATE',
    what: 'create, as another user',
    before: [
      ['fchmodat', at, p(''), 0o777],
      ['setfsgid', 1234],
      ['setfsuid', 1234],
    ],
    calls: [
      ['openat', at, p('f'), O_CREAT | 1, 0o640],
      ['setfsuid', 0],
      ['setfsgid', 0],
    ],
  },
  {
    opcode: 'TMPFILE',
    what: 'a file without a name',
    before: [],
    calls: [
      ['openat', at, p(''), O_TMPFILE_RDWR, 0o640, as('nameless')],
      ['write', r('nameless'), buf('text'), 4],
      ['pread64', r('nameless'), room(4), 4, 0],
      ['close', r('nameless')],
    ],
  },
  { opcode: 'UNLINK', what: 'unlink', before: file('a'), calls: [['unlinkat', at, p('a'), 0]] },
  {
    opcode: 'UNLINK',
    what: 'unlink of one of two links',
    before: rows(file('a'), ['linkat', at, p('a'), at, p('b'), 0]),
    calls: [['unlinkat', at, p('a'), 0]],
  },
  {
    opcode: 'UNLINK',
    what: 'unlink of an open file',
    before: rows(file('a', 'text'), ['openat', at, p('a'), 2, as('a')]),
    calls: [
      ['unlinkat', at, p('a'), 0],
      ['pread64', r('a'), room(4), 4, 0],
      ['pwrite64', r('a'), buf('more'), 4, 4],
      ['close', r('a')],
    ],
  },
  {
    opcode: 'RMDIR',
    what: 'rmdir',
    before: [['mkdirat', at, p('d'), 0o755]],
    calls: [['unlinkat', at, p('d'), AT_REMOVEDIR]],
  },
  {
    opcode: 'RMDIR',
    what: 'rmdir of what is not empty',
    before: [
      ['mkdirat', at, p('d'), 0o755],
      ['mkdirat', at, p('d/e'), 0o755],
    ],
    calls: [['unlinkat', at, p('d'), AT_REMOVEDIR]],
  },
  { opcode: 'RENAME', what: 'rename', before: file('a'), calls: [['renameat2', at, p('a'), at, p('b'), 0]] },
  { opcode: 'RENAME', what: 'rename over another', before: two, calls: [['renameat2', at, p('a'), at, p('b'), 0]] },
  {
    opcode: 'RENAME',
    what: 'rename over another that is open',
    before: rows(two, ['openat', at, p('b'), 0, as('b')]),
    calls: [
      ['renameat2', at, p('a'), at, p('b'), 0],
      ['read', r('b'), room(4), 4],
    ],
  },
  {
    opcode: 'RENAME',
    what: 'rename into another folder',
    before: rows(file('a'), ['mkdirat', at, p('d'), 0o755]),
    calls: [['renameat2', at, p('a'), at, p('d/a'), 0]],
  },
  {
    opcode: 'RENAME2',
    what: 'rename that must not replace',
    before: file('a'),
    calls: [['renameat2', at, p('a'), at, p('b'), RENAME_NOREPLACE]],
  },
  { opcode: 'RENAME2', what: 'exchange', before: two, calls: [['renameat2', at, p('a'), at, p('b'), RENAME_EXCHANGE]] },
  {
    opcode: 'RENAME2',
    what: 'rename that leaves a whiteout',
    before: file('a'),
    calls: [['renameat2', at, p('a'), at, p('b'), RENAME_WHITEOUT]],
  },
  {
    opcode: 'SETXATTR',
    what: 'an attribute is made anew',
    before: file('a'),
    calls: [['setxattr', p('a'), 'user.x', buf('new'), 3, XATTR_CREATE]],
  },
  {
    opcode: 'SETXATTR',
    what: 'an attribute is replaced',
    before: withAttribute,
    calls: [['setxattr', p('a'), 'user.x', buf('new'), 3, XATTR_REPLACE]],
  },
  {
    opcode: 'REMOVEXATTR',
    what: 'an attribute is removed',
    before: withAttribute,
    calls: [['removexattr', p('a'), 'user.x']],
  },
  {
    opcode: 'WRITE',
    what: 'an append',
    before: rows(file('a', 'text'), ['openat', at, p('a'), O_WRONLY_APPEND, as('a')]),
    calls: [
      ['write', r('a'), buf(' and more'), 9],
      ['write', r('a'), buf(', and more'), 10],
    ],
  },
  {
    opcode: 'SETATTR',
    what: 'a truncation',
    before: file('a', 'text'),
    calls: [['truncate', p('a'), 2]],
  },
  {
    opcode: 'FALLOCATE',
    what: 'an allocation',
    before: rows(file('a', 'text'), ['openat', at, p('a'), 2, as('a')]),
    calls: [['fallocate', r('a'), 0, 0, 5000]],
  },
]

/** Where lives end, one after the other. Those that record nothing do not meet that step, and are not ended there. */
const deaths: readonly (readonly string[])[] = [
  ['read'],
  ['recorded'],
  ['executed'],
  ['recorded', 'executed', 'executed'],
]
const unrecorded = ['TMPFILE', 'WRITE', 'SETATTR', 'FALLOCATE']
const unrecordedRows = ['an attribute is replaced']

for (const ends of deaths)
  t.test(`a life that dies ${ends.join(', then ')} has each effect exactly once`, { buffered: true }, async (t) => {
    const place = placeFor(t)
    const plain = place.path('plain')
    mkdirSync(plain)
    // Another user takes part.
    chmodSync(place.folder, 0o755)
    const lives = await new MirrorLives(place).start()
    const direct = new SyscallApplication(place, plain)
    const mirrored = new SyscallApplication(place, place.mount)
    for (const [i, { opcode, what, before, calls }] of table.entries()) {
      if (ends.includes('recorded') && (unrecorded.includes(opcode) || unrecordedRows.includes(what))) continue
      const name = `row-${i}`
      for (const folder of [plain, place.source]) mkdirSync(join(folder, name))
      direct.root = join(plain, name)
      mirrored.root = join(place.mount, name)
      t.same(await mirrored.run(...before), await direct.run(...before), `${what}: before`)
      await lives.kill()
      lives.revive(`${opcode}:${ends[0]}`)
      const results = mirrored.run(...calls)
      for (const step of [...ends.slice(1), null]) {
        t.equal((await lives.end()).signal, 'SIGKILL', `${what}: the life ends ${lives.stderr}`)
        lives.revive(step ? `${opcode}:${step}` : undefined)
      }
      t.same(await results, await direct.run(...calls), `${what}: results`)
      t.same(await mirrored.snapshot(), await direct.snapshot(), `${what}: what is there`)
      t.same(snapshot(join(place.source, name)), snapshot(join(plain, name)), `${what}: what is in the source`)
    }
    t.equal((await lives.stop()).code, 0)
    t.notOk(snapshot(place.source).some((line) => line.startsWith('.mirrorfs')))
  })
