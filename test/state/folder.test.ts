// The state folder: one supervisor a mount, whatever happens at the same time, and nothing taken from others.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkStateRoot, findMount, knownMounts, StateFolder, stateRoot } from '../../src/state/folder.js'
import type { MountRecord } from '../../src/state/record.js'
import { defaultOptions } from '../../src/supervise/options.js'
import { Child } from '../fixtures/child.js'
import { builtProgram } from '../fixtures/project.js'

const NOBODY = 65534
const isRoot = process.getuid?.() === 0

function rootFor(t: Test): string {
  const root = join(t.testdir(), 'state')
  return root
}

function acquired(root: string, name = 'it'): StateFolder {
  const folder = StateFolder.acquire(name, root)
  if (!folder) throw new Error('somebody has the lock')
  return folder
}

const record: MountRecord = {
  version: 1,
  options: {
    ...defaultOptions,
    name: 'it',
    argv: ['daemon', 'mnt'],
    cwd: '/',
    env: { A: 'b' },
    inFlight: { kind: 'fail', errno: 5 },
  },
  state: 'serving',
  life: 3,
  supervisor: { pid: 1, startTime: '2' },
  daemon: { pid: 3, startTime: '4' },
  next: null,
  mount: { mountpoint: '/mnt/it', device: '0:44', connection: 44, owner: null },
  holders: [{ pid: 5, startTime: '6', fds: [7, 8] }],
  firstAnswer: 0,
  crashes: 2,
  lastCrash: { time: '2030-01-01T00:00:00.000Z', life: 2, pid: 9, code: null, signal: 'SIGKILL', downtime_ms: 1.5 },
  healing: null,
}

t.test('a record comes back as it was written, readable by its owner alone', async (t) => {
  const root = rootFor(t)
  const folder = acquired(root)
  t.equal(folder.read(), null)
  folder.write(record)
  t.strictSame(folder.read(), record)
  for (const [path, mode] of [
    ['', 0o700],
    ['it', 0o700],
    ['it/state.json', 0o600],
    ['it/lock', 0o600],
  ] as const) {
    t.equal(statSync(join(root, path)).mode & 0o777, mode, path)
  }
  t.match(findMount('it', root), { name: 'it', record, problem: null })
  t.match(findMount('/mnt/it', root), { name: 'it' })
  t.equal(findMount('/mnt', root), undefined)
  folder.remove()
  t.strictSame(readdirSync(root), [])
})

t.test('a lock is one process’s alone, and free again after its release', async (t) => {
  const root = rootFor(t)
  const folder = acquired(root)
  folder.write(record)
  t.equal(StateFolder.acquire('it', root), null)
  t.not(StateFolder.acquire('other', root), null)
  folder.release()
  const next = acquired(root)
  t.strictSame(next.read(), record, 'the record stays')
  next.remove()
})

t.test('a folder that never had a record goes with its release', async (t) => {
  const root = rootFor(t)
  acquired(root).release()
  t.strictSame(readdirSync(root), [])
})

t.test('removing what somebody removed by hand is no error', async (t) => {
  const root = rootFor(t)
  const folder = acquired(root)
  rmSync(join(root, 'it'), { recursive: true })
  folder.remove()
  acquired(root).remove()
})

t.test('a folder that was moved away by hand is another’s no more', async (t) => {
  const root = rootFor(t)
  const folder = acquired(root)
  renameSync(join(root, 'it'), join(root, 'moved'))
  const next = acquired(root)
  t.not(StateFolder.acquire('moved', root), undefined)
  next.remove()
  folder.release()
})

t.test('many processes that acquire and remove at once are never in there together', async (t) => {
  const root = rootFor(t)
  const [processes, rounds] = [6, 200]
  const children = Array.from(
    { length: processes },
    () => new Child([process.execPath, builtProgram('test/fixtures/lock-user'), root, String(rounds)]),
  )
  t.teardown(() => Promise.all(children.map((child) => child.kill())))
  const ended = await Promise.all(children.map((child) => child.end(60_000)))
  for (const [i, child] of children.entries()) t.equal(ended[i]?.code, 0, child.stderr)
  const taken = children.map(({ stdout }) => Number(stdout))
  t.ok(
    taken.every((count) => count === rounds),
    `each had it ${taken.join(', ')} times`,
  )
  t.strictSame(readdirSync(root), [])
})

const unusable: [name: string, prepare: (root: string) => void, reason: RegExp, needsRoot?: true][] = [
  ['others may enter', (root) => mkdirSync(root, { mode: 0o750 }), /mode is 750/],
  ['is a link', (root) => symlinkSync('/tmp', root), /not a folder/],
  ['is a file', (root) => writeFileSync(root, ''), /not a folder/],
  [
    'belongs to another',
    (root) => {
      mkdirSync(root, { mode: 0o700 })
      chownSync(root, NOBODY, NOBODY)
    },
    /belongs to uid 65534/,
    true,
  ],
]
for (const [name, prepare, reason, needsRoot] of unusable) {
  t.test(
    `a state folder that ${name} is refused`,
    { skip: needsRoot && !isRoot ? 'only root can make one' : false },
    async (t) => {
      const root = rootFor(t)
      prepare(root)
      t.throws(() => StateFolder.acquire('it', root), { code: 'STATE_FOLDER_UNUSABLE', message: reason })
      t.throws(() => checkStateRoot(root), { code: 'STATE_FOLDER_UNUSABLE', message: reason })
    },
  )
  t.test(
    `a mount’s folder that ${name} is refused`,
    { skip: needsRoot && !isRoot ? 'only root can make one' : false },
    async (t) => {
      const root = rootFor(t)
      mkdirSync(root, { mode: 0o700 })
      prepare(join(root, 'it'))
      t.throws(() => StateFolder.acquire('it', root), { code: 'STATE_FOLDER_UNUSABLE', message: reason })
    },
  )
}

const broken: [name: string, damage: (file: string) => void, reason: RegExp, needsRoot?: true][] = [
  ['empty', (file) => writeFileSync(file, ''), /not JSON/],
  ['cut', (file) => writeFileSync(file, JSON.stringify(record).slice(0, 100)), /not JSON/],
  ['no object', (file) => writeFileSync(file, '7'), /the document/],
  ['of a later version', (file) => writeFileSync(file, JSON.stringify({ ...record, version: 2 })), /version/],
  [
    'without a supervisor',
    (file) => writeFileSync(file, JSON.stringify({ ...record, supervisor: undefined })),
    /supervisor/,
  ],
  [
    'with a negative pid',
    (file) => writeFileSync(file, JSON.stringify({ ...record, daemon: { pid: -1, startTime: '1' } })),
    /daemon\.pid/,
  ],
  ['with an unknown state', (file) => writeFileSync(file, JSON.stringify({ ...record, state: 'dreaming' })), /state/],
  ['readable by others', (file) => chmodSync(file, 0o644), /others may read/],
  ['another’s', (file) => chownSync(file, NOBODY, NOBODY), /belongs to uid 65534/, true],
  [
    'a folder',
    (file) => {
      rmSync(file)
      mkdirSync(file, { mode: 0o700 })
    },
    /EISDIR/,
  ],
  [
    'a link',
    (file) => {
      renameSync(file, `${file}.real`)
      symlinkSync(`${file}.real`, file)
    },
    /others may read/,
  ],
]
for (const [name, damage, reason, needsRoot] of broken) {
  t.test(
    `a record that is ${name} is told, and left as it is`,
    { skip: needsRoot && !isRoot ? 'only root can make one' : false },
    async (t) => {
      const root = rootFor(t)
      const folder = acquired(root)
      folder.write(record)
      damage(join(root, 'it/state.json'))
      t.throws(() => folder.read(), { code: 'STATE_FILE_BROKEN', message: reason })
      const healthy = acquired(root, 'healthy')
      healthy.write({ ...record, options: { ...record.options, name: 'healthy' } })
      t.match(knownMounts(root), [
        { name: 'healthy', problem: null, record: { version: 1 } },
        { name: 'it', problem: { code: 'STATE_FILE_BROKEN' }, record: null },
      ])
      folder.release()
      t.ok(readdirSync(join(root, 'it')).includes('state.json'))
    },
  )
}

t.test('without any state there are no mounts', async (t) => t.strictSame(knownMounts(join(t.testdir(), 'none')), []))

const roots: [env: NodeJS.ProcessEnv, root: string][] = [
  [{ KEEPMOUNT_STATE_DIR: '/a/b' }, '/a/b'],
  [{ KEEPMOUNT_STATE_DIR: '', XDG_RUNTIME_DIR: '/run/user/7' }, isRoot ? '/run/keepmount' : '/run/user/7/keepmount'],
]
for (const [env, root] of roots)
  t.test(`the state is in ${root} for ${JSON.stringify(env)}`, async (t) => t.equal(stateRoot(env), root))
