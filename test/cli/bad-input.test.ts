// What a user can get wrong, a row each: a clear error with its remedy, the right exit code, and nothing left behind.
import { chmodSync, chownSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import t from 'tap'
import type { ErrorCode } from '../../src/errors/messages.js'
import { Child, runToEnd } from '../fixtures/child.js'
import { Managed } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { keepmountCommand, mirrorCommand } from '../fixtures/project.js'

// They mostly wait for processes to start.
t.jobs = 2

const NOBODY = 65534
const hasBindfs = (await runToEnd(['sh', '-c', 'command -v bindfs'])).code === 0
const needsBindfs = hasBindfs ? false : 'bindfs is not installed'

interface Row {
  readonly name: string
  readonly code: ErrorCode | null
  readonly exit: number
  /** In the text on stderr, or its remedy. */
  readonly says: RegExp
  readonly argv: (place: Place) => readonly string[]
  readonly env?: (place: Place) => NodeJS.ProcessEnv
  readonly uid?: number
  /** Runs keepmount under this command, as `unshare`. */
  readonly under?: (place: Place) => readonly string[]
  readonly prepare?: (place: Place) => unknown
  readonly skip?: string | false
  /** What is there afterwards because the row made it. */
  readonly remains?: RegExp
}

const run =
  (...argv: string[]) =>
  () => ['run', ...argv]

const rows: readonly Row[] = [
  { name: 'no command at all', code: null, exit: 125, says: /Usage: keepmount/, argv: () => [] },
  {
    name: 'an unknown command',
    code: 'USAGE',
    exit: 125,
    says: /'statu' \(Did you mean status\?\)/,
    argv: () => ['statu'],
  },
  {
    name: 'an unknown option',
    code: 'USAGE',
    exit: 125,
    says: /--reviv.*Did you mean --revive/,
    argv: run('--reviv', 'x', '--', 'true'),
  },
  {
    name: 'a value that an option does not take',
    code: 'BAD_OPTION',
    exit: 125,
    says: /--restart-sec soon: expected a time/,
    argv: run('--restart-sec', 'soon', '--', 'true'),
  },
  { name: 'run without a command', code: 'NO_SEPARATOR', exit: 125, says: /no command was given/, argv: run() },
  {
    name: 'run without --',
    code: 'NO_SEPARATOR',
    exit: 125,
    says: /keepmount run -- sshfs -f 'my host:' \/mnt/,
    argv: run('sshfs', '-f', 'my host:', '/mnt'),
  },
  {
    name: 'status of what is not managed',
    code: 'NOT_MANAGED',
    exit: 125,
    says: /keepmount status/,
    argv: () => ['status', 'it'],
  },
  {
    name: 'stop of what is not managed',
    code: 'NOT_MANAGED',
    exit: 125,
    says: /no managed mount/,
    argv: ({ mount }) => ['stop', mount],
  },
  {
    name: 'adopt of what is not managed',
    code: 'NOT_MANAGED',
    exit: 125,
    says: /no managed mount/,
    argv: () => ['adopt', 'it'],
  },
  {
    name: 'stop of nothing',
    code: 'USAGE',
    exit: 125,
    says: /missing required argument 'target'/,
    argv: () => ['stop'],
  },
  {
    name: 'a command that is not there',
    code: 'COMMAND_NOT_FOUND',
    exit: 127,
    says: /no-such-daemon: command not found/,
    argv: run('--', 'no-such-daemon', 'x'),
  },
  {
    name: 'a path that is not there',
    code: 'COMMAND_NOT_FOUND',
    exit: 127,
    says: /not found/,
    argv: run('--', './no/such/daemon'),
  },
  {
    name: 'a file that is not executable',
    code: 'COMMAND_NOT_EXECUTABLE',
    exit: 126,
    says: /permission denied.*\n.*chmod \+x/,
    argv: run('--', './plain'),
    prepare: (place) => writeFileSync(place.path('plain'), ''),
  },
  {
    name: 'a folder as a command',
    code: 'COMMAND_NOT_EXECUTABLE',
    exit: 126,
    says: /it is a folder/,
    argv: run('--', './source'),
  },
  {
    name: 'auto_unmount',
    code: 'AUTO_UNMOUNT',
    exit: 125,
    says: /leave auto_unmount out/,
    argv: run('--', 'true', '-o', 'ro,auto_unmount', 'mount'),
  },
  {
    name: 'a mountpoint that is missing',
    code: 'MOUNTPOINT_MISSING',
    exit: 125,
    says: /no such file.*\n.*mkdir -p/,
    argv: run('--mountpoint', 'none', '--', 'true'),
  },
  {
    name: 'a mountpoint that is a file',
    code: 'MOUNTPOINT_MISSING',
    exit: 125,
    says: /not a folder/,
    argv: run('--mountpoint', 'file', '--', 'true'),
    prepare: (place) => writeFileSync(place.path('file'), ''),
  },
  {
    name: 'a mountpoint that carries a foreign mount',
    code: 'MOUNTPOINT_BUSY',
    exit: 125,
    says: /already carries a fuse mount/,
    argv: run('--mountpoint', 'mount', '--', 'true'),
    prepare: mountForeign,
    skip: needsBindfs,
    remains: /mount/,
  },
  {
    name: 'a mountpoint on a file system that does not answer',
    code: 'MOUNTPOINT_SILENT',
    exit: 125,
    says: /has not answered for 5 s.*\n.*umount -l/,
    argv: run('--mountpoint', 'mount/inner', '--', 'true'),
    prepare: async (place) => (await mountForeign(place)).process.kill('SIGSTOP'),
    skip: needsBindfs,
    remains: /mount/,
  },
  {
    name: 'a command that mounts over a foreign mount',
    code: 'MOUNTPOINT_BUSY',
    exit: 125,
    says: /umount -l/,
    argv: run('--', 'bindfs', '-f', 'source', 'mount'),
    prepare: mountForeign,
    skip: needsBindfs,
    remains: /mount/,
  },
  {
    name: 'a mountpoint that carries a dead mount',
    code: 'MOUNTPOINT_BUSY',
    exit: 125,
    says: /still carries a dead fuse mount/,
    argv: run('--mountpoint', 'mount', '--', 'true'),
    prepare: mountDead,
    skip: needsBindfs,
    remains: /mount/,
  },
  {
    name: 'a daemon that ends well without mounting',
    code: 'EXITED_WITHOUT_MOUNT',
    exit: 125,
    says: /code 0 before it had mounted/,
    argv: run('--', 'true'),
  },
  {
    name: 'a daemon that fails',
    code: 'EXITED_WITHOUT_MOUNT',
    exit: 3,
    says: /code 3 before it had mounted/,
    argv: run('--', 'sh', '-c', 'exit 3'),
  },
  {
    name: 'a daemon that is killed',
    code: 'EXITED_WITHOUT_MOUNT',
    exit: 137,
    says: /SIGKILL before it had mounted/,
    argv: run('--', 'sh', '-c', 'kill -9 $$'),
  },
  {
    name: 'a daemon that never mounts',
    code: 'NO_MOUNT',
    exit: 125,
    says: /within 0\.3 s.*\n.*--timeout-start-sec/,
    argv: run('--timeout-start-sec', '300ms', '--', 'sleep', '60'),
  },
  {
    name: 'a state folder that cannot be made',
    code: 'STATE_FOLDER_UNUSABLE',
    exit: 125,
    says: /\/proc\/nowhere.*\n.*XDG_RUNTIME_DIR/,
    argv: run('--', 'true'),
    env: () => ({ KEEPMOUNT_STATE_DIR: '/proc/nowhere' }),
  },
  {
    name: 'a state folder that others may enter',
    code: 'STATE_FOLDER_UNUSABLE',
    exit: 125,
    says: /mode is 755/,
    argv: run('--', 'true'),
    prepare: ({ state }) => mkdirSync(state, { mode: 0o755 }),
  },
  {
    name: 'a state folder of another user',
    code: 'STATE_FOLDER_UNUSABLE',
    exit: 125,
    says: /belongs to uid 65534/,
    argv: run('--', 'true'),
    prepare: foreignFolder,
  },
  {
    name: 'a state folder that is a link',
    code: 'STATE_FOLDER_UNUSABLE',
    exit: 125,
    says: /not a folder/,
    argv: run('--', 'true'),
    prepare: (place) => symlinkSync(place.source, place.state),
  },
  {
    name: 'a state folder that is a file',
    code: 'STATE_FOLDER_UNUSABLE',
    exit: 125,
    says: /not a folder/,
    argv: run('--', 'true'),
    prepare: (place) => writeFileSync(place.path('file'), ''),
    env: (place) => ({ KEEPMOUNT_STATE_DIR: place.path('file') }),
  },
  {
    name: 'a record that is not JSON',
    code: 'STATE_FILE_BROKEN',
    exit: 125,
    says: /not JSON.*\n.*mv .*state\.json/,
    argv: run('--name', 'it', '--', 'true'),
    prepare: record('{'),
    remains: /state it/,
  },
  {
    name: 'a record of another version',
    code: 'STATE_FILE_BROKEN',
    exit: 125,
    says: /version/,
    argv: run('--name', 'it', '--', 'true'),
    prepare: record('{"version":2}'),
    remains: /state it/,
  },
  {
    name: 'a record of another user',
    code: 'STATE_FILE_BROKEN',
    exit: 125,
    says: /belongs to uid 65534/,
    argv: () => ['adopt', 'it'],
    prepare: (place) => {
      record('{}')(place)
      chownSync(place.path('state/it/state.json'), NOBODY, NOBODY)
    },
    remains: /state it/,
  },
  {
    name: 'a record that others may write',
    code: 'STATE_FILE_BROKEN',
    exit: 125,
    says: /others may read or write/,
    argv: () => ['status', 'it'],
    prepare: (place) => {
      record('{}')(place)
      chmodSync(place.path('state/it/state.json'), 0o666)
    },
    remains: /state it/,
  },
  {
    name: 'no place for the events',
    code: 'EVENTS_UNUSABLE',
    exit: 125,
    says: /events cannot be written to/,
    argv: run('--events', 'no/such/file', '--', 'true'),
  },
  {
    name: 'a machine without /dev/fuse',
    code: 'NO_FUSE_DEVICE',
    exit: 125,
    says: /not the FUSE device.*\n.*modprobe fuse/,
    argv: run('--', 'true'),
    under: () => unshared('mount --bind /dev/null /dev/fuse'),
  },
  {
    name: 'a kernel that aborts mounts during a pause',
    code: 'REQUEST_TIMEOUT',
    exit: 125,
    says: /longer than 30 s, and a pause may last 60 s.*\n.*--hold-timeout below 30/,
    argv: run('--', 'true'),
    prepare: (place) => writeFileSync(place.path('timeout'), '30\n'),
    under: (place) => unshared(`mount --bind '${place.path('timeout')}' /proc/sys/fs/fuse/default_request_timeout`),
  },
  {
    name: 'a user who may not revive stock daemons',
    code: 'NO_RIGHT_TO_GRAFT',
    exit: 125,
    says: /CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH missing.*\n.*--revive remount/,
    argv: run('--', 'true'),
    under: (place) => [...unshared(`mount --bind '${place.path('fuse')}' /dev/fuse`), ...asNobody],
    prepare: openDevice,
  },
  {
    name: 'a daemon whose channel may not be taken',
    code: 'NO_RIGHT_TO_CAPTURE',
    exit: 125,
    says: /cannot be taken.*\n.*non-dumpable/,
    argv: run('--revive', 'inherit', '--', './secret', '-f', '--no-allow-other', 'source', 'mount'),
    under: (place) => [...unshared(`mount --bind '${place.path('fuse')}' /dev/fuse`), ...asNobody],
    prepare: secretDaemon,
    skip: needsBindfs,
  },
  {
    name: 'a user without a place for state',
    code: 'STATE_FOLDER_UNUSABLE',
    exit: 125,
    says: /XDG_RUNTIME_DIR is not set/,
    argv: run('--revive', 'inherit', '--', 'true'),
    uid: NOBODY,
    env: () => ({ KEEPMOUNT_STATE_DIR: '', XDG_RUNTIME_DIR: '' }),
  },
]

for (const { name, code, exit, says, argv, env, uid, under, prepare, skip = false, remains } of rows) {
  t.test(`refuses ${name}`, { skip, buffered: true }, async (t) => {
    const place = placeFor(t)
    await prepare?.(place)
    const before = place.leftovers()
    // Without what a test runner adds to Node, which other users may not even read.
    const command = [
      ...'env -u NODE_OPTIONS'.split(' '),
      ...(under?.(place) ?? []),
      process.execPath,
      keepmountCommand,
      ...argv(place),
    ]
    const ended = await runToEnd(command, {
      cwd: place.folder,
      env: { ...place.env, ...env?.(place) },
      ...(uid !== undefined && { uid, gid: uid }),
    })
    t.equal(ended.code, exit, ended.stderr)
    t.match(ended.stderr + ended.stdout, says)
    if (code !== null) {
      t.match(ended.stderr, /^keepmount: .+\n {2}→ .+\n$/m, 'what happened, and what to do')
      t.equal(ended.stdout, '')
    }
    t.strictSame(place.leftovers(), before, 'nothing is left behind')
    if (remains) t.match(before.join('\n'), remains)
  })
}

t.test('refuses what is managed already', { skip: needsBindfs }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, {
    daemon: ['bindfs', '-f', place.source, place.mount],
    options: ['--revive', 'remount'],
  })
  const asIs = place.leftovers()
  const again: [name: string, argv: string[], says: RegExp][] = [
    [
      'the same name',
      ['--name', 'it', '--', 'bindfs', '-f', 'source', 'mount'],
      /it \(.*\/mount\) is already managed by the keepmount process \d+/,
    ],
    [
      'the same mountpoint',
      ['--', 'bindfs', '-f', 'source', 'mount'],
      /it \(.*\) is already managed.*\n.*keepmount stop it/,
    ],
    [
      'the same mountpoint by name',
      ['--mountpoint', place.mount, '--', 'bindfs', '-f', 'source', 'elsewhere'],
      /already managed/,
    ],
    [
      'the same mountpoint through a link',
      ['--mountpoint', 'link', '--', 'bindfs', '-f', 'source', 'link'],
      /already managed/,
    ],
  ]
  symlinkSync(place.mount, place.path('link'))
  for (const [name, argv, says] of again) {
    const { code, stderr } = await runToEnd([process.execPath, keepmountCommand, 'run', ...argv], {
      cwd: place.folder,
      env: place.env,
    })
    t.equal(code, 125, name)
    t.match(stderr, says, name)
    t.strictSame(place.leftovers(), asIs)
  }
  const { code, stderr } = await runToEnd([process.execPath, keepmountCommand, 'adopt', 'it'], { env: place.env })
  t.equal(code, 125)
  t.match(stderr, /already managed/)

  await managed.child.kill()
  const other = await runToEnd([process.execPath, keepmountCommand, 'run', '--', 'bindfs', '-f', 'source', 'mount'], {
    cwd: place.folder,
    env: place.env,
  })
  t.equal(other.code, 125)
  t.match(other.stderr, /whose keepmount process has died\n.*keepmount adopt it/)
  const taken = await runToEnd([process.execPath, keepmountCommand, 'run', '--name', 'it', '--', 'true'], {
    cwd: place.folder,
    env: place.env,
  })
  t.equal(taken.code, 125)
  t.match(taken.stderr, /the name it belongs to another command: bindfs -f/)
})

t.test('a mirror that cannot start says why and leaves nothing', async (t) => {
  const place = placeFor(t)
  const { code, stderr } = await runToEnd(
    [process.execPath, keepmountCommand, 'run', '--quiet', '--', ...mirrorCommand(place.path('none'), place.mount)],
    { cwd: place.folder, env: place.env },
  )
  t.equal(code, 1)
  t.match(stderr, /source folder cannot be used(.|\n)*exited with code 1 before it had mounted/)
  t.strictSame(await place.left(), [])
})

t.test('with --json an error is a document on stdout as well', async (t) => {
  const place = placeFor(t)
  const { code, stdout, stderr } = await runToEnd([process.execPath, keepmountCommand, 'status', '--json', 'x'], {
    env: place.env,
  })
  t.equal(code, 125)
  t.match(stderr, /^keepmount: x: no managed mount/)
  t.match(JSON.parse(stdout), { error: { code: 'NOT_MANAGED', message: /^x: /, remedy: String } })
})

/** A FUSE mount that keepmount knows nothing of. */
async function mountForeign(place: Place): Promise<Child> {
  const child = new Child(['bindfs', '-f', place.source, place.mount])
  place.undo(() => child.kill())
  await place.mounted()
  return child
}

async function mountDead(place: Place): Promise<void> {
  await (await mountForeign(place)).kill()
}

function foreignFolder({ state }: Place): void {
  mkdirSync(state, { mode: 0o700 })
  chownSync(state, NOBODY, NOBODY)
}

function record(text: string): (place: Place) => void {
  return ({ state }) => {
    mkdirSync(`${state}/it`, { recursive: true, mode: 0o700 })
    chmodSync(state, 0o700)
    writeFileSync(`${state}/it/state.json`, text, { mode: 0o600 })
  }
}

/** A program that its user may run but not read is non-dumpable: only root may take its files. Source: prctl(2), PR_SET_DUMPABLE. */
async function secretDaemon(place: Place): Promise<void> {
  const { stdout } = await runToEnd(['sh', '-c', 'command -v bindfs'])
  copyFileSync(stdout.trim(), place.path('secret'))
  chmodSync(place.path('secret'), 0o711)
  await openDevice(place)
}

/** A /dev/fuse for every user: not every machine lets each open its own. */
async function openDevice(place: Place): Promise<void> {
  await runToEnd(['mknod', '-m', '666', place.path('fuse'), 'c', '10', '229'])
  for (const path of [place.folder, place.mount, place.source]) chownSync(path, NOBODY, NOBODY)
}

const asNobody = `setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups --`.split(' ')

/** In a mount namespace of its own, changed by a shell command first. */
const unshared = (change: string): string[] => ['unshare', '-m', 'sh', '-c', `${change} && exec "$@"`, 'sh']
