import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { umount, umountFlags } from '../../src/native/mount.js'
import { abortMountAt } from '../fixtures/abort.js'
import { MirrorLives } from '../fixtures/mirror-lives.js'
import { placeFor } from '../fixtures/place.js'
import { type Call, type Operand, SyscallApplication } from '../fixtures/syscalls.js'
import { as, at, buf, file, O_CREAT, p, r, room, rows } from './operations.js'

t.setTimeout(170_000)

const O_DIRECTORY: Operand = { perArch: { x64: 0o200000, arm64: 0o40000 } }
const O_APPEND = 0o2000
const [LOCK_EX, LOCK_EX_NB, LOCK_UN] = [2, 6, 8]
const F_SETLK = 6
const [EBADF, EAGAIN, EROFS, ESTALE] = [-9, -11, -30, -116]
const [SEEK_DATA, SEEK_HOLE] = [3, 4]
const PROT_READ_WRITE = 3
const MAP_SHARED = 1

async function begin(
  t: Parameters<typeof placeFor>[0],
): Promise<{ lives: MirrorLives; app: SyscallApplication; source: string }> {
  const place = placeFor(t)
  const lives = await new MirrorLives(place).start()
  return { lives, app: new SyscallApplication(place, place.mount), source: place.source }
}

async function nextLife(lives: MirrorLives): Promise<void> {
  await lives.kill()
  lives.revive()
}

/** Rows of what an application does in one life and in the next two, and what it must get. */
const table: {
  what: string
  before: Call[]
  after: Call[]
  expected: unknown[]
}[] = [
  {
    what: 'a file open for reading',
    before: rows(file('a', 'text'), ['openat', at, p('a'), 0, as('a')]),
    after: [
      ['pread64', r('a'), room(4), 4, 0],
      ['pwrite64', r('a'), buf('x'), 1, 0],
      ['fsync', r('a')],
    ],
    expected: [[4, 'text'], EBADF, 0],
  },
  {
    what: 'a file open for writing and appending',
    before: rows(file('a', ''), ['openat', at, p('a'), 2 | O_APPEND, as('a')], ['write', r('a'), buf('one'), 3]),
    after: [
      ['write', r('a'), buf('two'), 3],
      ['pread64', r('a'), room(20), 6, 0],
      ['ftruncate', r('a'), 3],
      ['fdatasync', r('a')],
    ],
    expected: [3, [6, 'onetwo'], 0, 0],
  },
  {
    what: 'an open file whose name is gone',
    before: rows(
      file('a', 'text'),
      ['openat', at, p('a'), 2, as('a')],
      ['unlinkat', at, p('a'), 0],
      ['openat', at, p('a'), 0],
    ),
    after: [
      ['pread64', r('a'), room(4), 4, 0],
      ['pwrite64', r('a'), buf('text'), 4, 0],
      ['openat', at, p('a'), 0],
    ],
    expected: [[4, 'text'], 4, -2],
  },
  {
    what: 'an open file that another was renamed over',
    before: rows(
      file('a', 'of a'),
      file('b', 'of b'),
      ['openat', at, p('b'), 2, as('b')],
      ['renameat2', at, p('a'), at, p('b'), 0],
    ),
    after: [['pread64', r('b'), room(4), 4, 0]],
    expected: [[4, 'of b']],
  },
  {
    what: 'an open file that was renamed',
    before: rows(file('a', 'of a'), ['openat', at, p('a'), 2, as('a')], ['renameat2', at, p('a'), at, p('z'), 0]),
    after: [['pread64', r('a'), room(4), 4, 0]],
    expected: [[4, 'of a']],
  },
  {
    what: 'a file without a name',
    before: [
      ['openat', at, p(''), { perArch: { x64: 0o20200002, arm64: 0o20040002 } }, 0o600, as('a')],
      ['write', r('a'), buf('text'), 4],
    ],
    after: [['pread64', r('a'), room(4), 4, 0]],
    expected: [[4, 'text']],
  },
  {
    what: 'holes, and room for more, of an open file',
    before: rows(['openat', at, p('a'), 2 | O_CREAT, 0o644, as('a')], ['ftruncate', r('a'), 65536]),
    after: [
      ['pwrite64', r('a'), buf('x'), 1, 32768],
      ['fsync', r('a')],
      ['lseek', r('a'), 0, SEEK_DATA],
      ['lseek', r('a'), 32768, SEEK_HOLE],
      ['fallocate', r('a'), 0, 0, 65536],
    ],
    expected: [1, 0, 32768, 36864, 0],
  },
  {
    what: 'a mapping',
    before: rows(
      file('a', 'x'.repeat(8192)),
      file('other', 'from the other file'),
      ['openat', at, p('a'), 2, as('a')],
      ['openat', at, p('other'), 0, as('other')],
      ['mmap', 0, 8192, PROT_READ_WRITE, MAP_SHARED, r('a'), 0, as('map')],
      ['close', r('a')],
    ),
    after: [
      ['pread64', r('other'), r('map'), 8, 0],
      ['munmap', 0, 0],
      ['openat', at, p('a'), 0, as('again')],
      ['pread64', r('again'), room(10), 10, 0],
    ],
    expected: [8, -22, 'fd', [10, 'from thexx']],
  },
  {
    what: 'a folder by its descriptor',
    before: [
      ['mkdirat', at, p('d'), 0o755],
      ['openat', at, p('d'), O_DIRECTORY, as('d')],
      ['openat', r('d'), 'in', O_CREAT, 0o644],
    ],
    after: [
      ['openat', r('d'), 'in', 0],
      ['openat', r('d'), 'none', 0],
      ['fsync', r('d')],
    ],
    expected: ['fd', -2, 0],
  },
]

t.test('what an application holds goes on in the next life, and in the one after', async (t) => {
  const { lives, app } = await begin(t)
  const { root } = app
  for (const [i, { what, before }] of table.entries()) {
    await app.run(['mkdirat', at, { path: `row-${i}` }, 0o755])
    app.root = join(root, `row-${i}`)
    await app.run(...before.map((call) => own(call, i)))
    app.root = root
    t.pass(what)
  }
  for (const life of ['second', 'third']) {
    await nextLife(lives)
    for (const [i, { what, after, expected }] of table.entries()) {
      app.root = join(root, `row-${i}`)
      t.same(await app.run(...after.map((call) => own(call, i))), expected, `${what}, in the ${life} life`)
      if (what.includes('appending')) await app.run(['ftruncate', r(`a-${i}`), 3])
      app.root = root
    }
  }
  await app.run(
    ...table.flatMap((_, i): Call[] => [
      ['close', r(`a-${i}`)],
      ['close', r(`b-${i}`)],
    ]),
  )
  await lives.pinned(0)
  app.end()
  t.same(await lives.stop(), { code: 0, signal: null })
})

/** The names of a row's calls are its own. */
function own([name, ...operands]: Call, row: number): Call {
  return [
    name,
    ...operands.map((operand) => {
      if (typeof operand !== 'object') return operand
      if ('as' in operand) return as(`${operand.as}-${row}`)
      return 'of' in operand ? r(`${operand.of}-${row}`) : operand
    }),
  ]
}

t.test('a folder that is half read is read on: each name comes once', async (t) => {
  const { lives, app, source } = await begin(t)
  const names = Array.from({ length: 3000 }, (_, i) => `name-${i}`)
  for (const name of names) writeFileSync(join(source, name), '')
  await app.run(['openat', at, p(''), O_DIRECTORY, as('root')])
  const read: string[] = []
  for (let i = 0; ; i++) {
    const [result] = await app.run(['getdents64', r('root'), room(2048), 2048])
    const [length, bytes] = result as [number, string]
    if (length <= 0) break
    read.push(...namesIn(Buffer.from(bytes, 'latin1')))
    if (i % 20 === 10) await nextLife(lives)
  }
  t.same(read.sort(), ['.', '..', ...names].sort())
  t.equal((await lives.stop()).code, 0)
})

/** linux_dirent64: u64 ino, i64 off, u16 length, u8 type, name. */
function namesIn(bytes: Buffer): string[] {
  const names: string[] = []
  for (let at = 0; at < bytes.length; at += bytes.readUInt16LE(at + 16))
    names.push(bytes.toString('utf8', at + 19, bytes.indexOf(0, at + 19)))
  return names
}

t.test('locks are kept', async (t) => {
  const { lives, app, source } = await begin(t)
  const place = placeFor(t)
  const other = new SyscallApplication(place, app.root)
  const lock = Buffer.alloc(32)
  lock.writeInt16LE(1, 0) // F_WRLCK on the whole file
  await app.run(
    ...file('flock'),
    ...file('posix'),
    ['openat', at, p('flock'), 2, as('flock')],
    ['openat', at, p('posix'), 2, as('posix')],
    ['flock', r('flock'), LOCK_EX],
    ['fcntl', r('posix'), F_SETLK, buf(lock)],
  )
  const tries: Call[] = [
    ['openat', at, p('flock'), 2, as('flock')],
    ['openat', at, p('posix'), 2, as('posix')],
    ['flock', r('flock'), LOCK_EX_NB],
    ['fcntl', r('posix'), F_SETLK, buf(lock)],
  ]
  t.same((await other.run(...tries)).slice(2), [EAGAIN, EAGAIN])
  await nextLife(lives)
  t.same((await other.run(...tries)).slice(2), [EAGAIN, EAGAIN], 'in the next life')
  await app.run(['flock', r('flock'), LOCK_UN], ['close', r('posix')])
  t.same((await other.run(...tries)).slice(2), [0, 0], 'until they are given up')
  t.ok(existsSync(join(source, 'flock')))
  t.equal((await lives.stop()).code, 0)
})

t.test('a nodeid never shows the bytes of a later file that has its inode', async (t) => {
  const { lives, app, source } = await begin(t)
  writeFileSync(join(source, 'old'), 'secret of the old')
  const { ino } = statSync(join(source, 'old'))
  await app.run(['openat', at, p('old'), 2, as('old')])
  await lives.kill()
  rmSync(join(source, 'old'))
  let reused = false
  for (let i = 0; i < 2000 && !reused; i++) {
    writeFileSync(join(source, `new-${i}`), 'secret of the new')
    reused = statSync(join(source, `new-${i}`)).ino === ino
  }
  lives.revive()
  const results = await app.run(
    ['pread64', r('old'), room(20), 20, 0],
    ['pwrite64', r('old'), buf('overwritten'), 11, 0],
  )
  t.same(results, [[ESTALE, ''], ESTALE], reused ? 'the inode is in use again' : 'the inode is free')
  for (const name of readdirSync(source).filter((name) => name.startsWith('new-')))
    if (readFileSync(join(source, name), 'utf8') !== 'secret of the new') t.fail(`${name} was written to`)
  t.equal((await lives.stop()).code, 0)
})

t.test('INIT that life 1 read and did not answer is answered by the next', async (t) => {
  const place = placeFor(t)
  const lives = new MirrorLives(place)
  lives.mountAlone()
  lives.revive('INIT:read')
  t.equal((await lives.end()).signal, 'SIGKILL')
  lives.revive('INIT:executed')
  t.equal((await lives.end()).signal, 'SIGKILL')
  lives.revive()
  const app = new SyscallApplication(place, place.mount)
  t.same(await app.run(['mkdirat', at, p('d'), 0o755]), [0])
  t.equal((await lives.stop()).code, 0)
})

t.test('a FORGET that a life has eaten leaves no file behind', async (t) => {
  const { lives, app } = await begin(t)
  await app.run(...file('a'))
  await lives.kill()
  lives.revive('FORGET:read')
  await app.run(['unlinkat', at, p('a'), 0])
  t.equal((await lives.end()).signal, 'SIGKILL')
  t.equal(lives.pins().length, 1)
  lives.revive()
  await lives.pinned(0)
  t.equal((await lives.stop()).code, 0)
})

t.test('what is still open is not swept', async (t) => {
  const { lives, app } = await begin(t)
  await app.run(...file('open', 'text'), ...file('gone'), ['openat', at, p('open'), 0, as('open')])
  await lives.kill()
  lives.revive('FORGET:read')
  await app.run(['unlinkat', at, p('open'), 0], ['unlinkat', at, p('gone'), 0])
  await lives.end()
  lives.revive()
  await lives.pinned(1)
  t.same(await app.run(['pread64', r('open'), room(4), 4, 0]), [[4, 'text']])
  t.equal((await lives.stop()).code, 0)
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  t.test(`${signal} unmounts, and the mirror exits with 0`, async (t) => {
    const place = placeFor(t)
    const lives = await new MirrorLives(place).start()
    t.same(await lives.stop(signal), { code: 0, signal: null })
    t.same(place.mounts(), [])
    t.same(readdirSync(place.source), [])
  })

t.test('SIGTERM is heard under load', async (t) => {
  const { lives, app } = await begin(t)
  const many = Array.from({ length: 2000 }, (_, i): Call => ['mkdirat', at, p(`d-${i}`), 0o755])
  const load = app.run(...many)
  t.same(await lives.stop(), { code: 0, signal: null })
  await load
})

t.test('a life that took its channel over unmounts as well, and so does umount', async (t) => {
  const first = await begin(t)
  await nextLife(first.lives)
  await first.app.snapshot()
  t.equal((await first.lives.stop()).code, 0)
  const place = placeFor(t)
  const lives = await new MirrorLives(place).start()
  await nextLife(lives)
  await new SyscallApplication(place, place.mount).snapshot()
  umount(place.mount, umountFlags.MNT_DETACH)
  t.same(await lives.end(), { code: 0, signal: null })
  t.same(readdirSync(place.source), [])
})

t.test('a connection that was aborted ends the mirror with an error that says so', async (t) => {
  const place = placeFor(t)
  const lives = await new MirrorLives(place).start()
  await new SyscallApplication(place, place.mount).snapshot()
  abortMountAt(place.mount)
  t.equal((await lives.end()).code, 1)
  t.match(lives.stderr, /connection was aborted/)
  t.same(readdirSync(place.source), [], 'and leaves nothing in the source')
})

t.test('a source that is read-only is served, and says so of every change', async (t) => {
  const place = placeFor(t)
  const source = place.path('read-only')
  mkdirSync(source)
  writeFileSync(join(place.source, 'a'), 'text')
  execFileSync('mount', ['--bind', place.source, source])
  place.undo(() => umount(source, umountFlags.MNT_DETACH))
  execFileSync('mount', ['-o', 'remount,bind,ro', source])
  const lives = await new MirrorLives(place, source).start()
  const app = new SyscallApplication(place, place.mount)
  await app.run(['openat', at, p('a'), 0, as('a')])
  await nextLife(lives)
  const results = await app.run(
    ['pread64', r('a'), room(4), 4, 0],
    ['openat', at, p('a'), 2],
    ['mkdirat', at, p('d'), 0o755],
    ['unlinkat', at, p('a'), 0],
    ['renameat2', at, p('a'), at, p('b'), 0],
    ['fchmodat', at, p('a'), 0o600],
  )
  t.same(results, [[4, 'text'], EROFS, EROFS, EROFS, EROFS, EROFS])
  t.equal((await lives.stop()).code, 0)
})

t.test('a second mirror of the source serves beside the first', async (t) => {
  const place = placeFor(t)
  const other = placeFor(t)
  const lives = await new MirrorLives(place).start()
  const others = await new MirrorLives(other, place.source).start()
  const app = new SyscallApplication(place, place.mount)
  await app.run(...file('a', 'text'), ['openat', at, p('a'), 0, as('a')], ['unlinkat', at, p('a'), 0])
  t.equal((await others.stop()).code, 0)
  await nextLife(lives)
  t.same(await app.run(['pread64', r('a'), room(4), 4, 0]), [[4, 'text']])
  t.equal((await lives.stop()).code, 0)
  t.same(readdirSync(place.source), [])
})

t.test('what cannot be mirrored is refused, with the remedy', async (t) => {
  const place = placeFor(t)
  const rowsOf: [what: string, prepare: () => MirrorLives, said: RegExp][] = [
    [
      'a source that is not there',
      () => new MirrorLives(place, place.path('none')),
      /source folder cannot be used.*no such file/s,
    ],
    ['a source without handles', () => new MirrorLives(place, '/proc/self'), /no file handles that fit/],
  ]
  for (const [what, prepare, said] of rowsOf) {
    const lives = prepare()
    lives.spawn('ignore', undefined)
    t.equal((await lives.end()).code, 1, what)
    t.match(lives.stderr, said, what)
  }
  mkdirSync(place.path('busy'))
  const lives = await new MirrorLives(place).start()
  const second = new MirrorLives(place)
  second.spawn('ignore', undefined)
  t.equal((await second.end()).code, 1)
  t.match(second.stderr, /another mirror serves this source/)
  await lives.kill()
  const third = new MirrorLives(place)
  third.spawn('ignore', undefined)
  t.equal((await third.end()).code, 1, 'over a mirror that waits for its next life')
  t.match(third.stderr, /another mirror serves this source/)
  lives.revive()
  await new SyscallApplication(place, place.mount).snapshot()
  t.equal((await lives.stop()).code, 0)
})
