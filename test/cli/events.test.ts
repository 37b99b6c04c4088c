// Where events go: a file, stdout, a terminal; and that nobody who reads them slowly stops a mount from being revived.
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, statSync } from 'node:fs'
import t from 'tap'
import { Child } from '../fixtures/child.js'
import { keepmount, Managed, unlimited } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { keepmountCommand, mirrorCommand } from '../fixtures/project.js'

const skip = process.getuid?.() === 0 ? false : 'needs root'
const hasScript = keepmountUnder(['true']).length > 0

/** `keepmount run` of the place’s mirror with options of its own. */
function started(
  place: Place,
  options: readonly string[],
  stdio: ('pipe' | 'ignore' | number)[] = ['pipe', 'pipe', 'pipe'],
): Child {
  const child = new Child(
    [
      process.execPath,
      keepmountCommand,
      'run',
      '--name',
      'it',
      ...unlimited,
      ...options,
      '--',
      ...mirrorCommand(place.source, place.mount),
    ],
    { env: place.env, cwd: place.folder, stdio },
  )
  place.undo(() => child.kill())
  return child
}

// They mostly wait for processes to start.
t.jobs = 2

const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

t.test(
  'on stdout there are events and nothing else, each with its common facts',
  { skip, buffered: true },
  async (t) => {
    const place = placeFor(t)
    const child = started(place, ['--events', '-'])
    await child.says(/"mounted"/)
    await keepmount(place, 'stop', 'it')
    t.equal((await child.end()).code, 0)
    const events = lines(child.stdout)
    t.strictSame(
      events.map(({ event }) => event),
      ['held', 'mounted', 'stopped'],
    )
    for (const event of events) {
      t.strictSame(Object.keys(event).slice(0, 5), ['time', 'event', 'name', 'mountpoint', 'life'])
      t.match(event, { time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/, name: 'it', mountpoint: place.mount, life: 1 })
    }
    t.match(child.stderr, /^\d\d:\d\d:\d\d\.\d{3} ⚓ held .*\n.* ● mounted .*\n(.*\n)*.* ○ stopped .*\n$/)
  },
)

t.test('--quiet shows nothing, and an event file is its owner’s alone', { skip, buffered: true }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, { options: ['--quiet'] })
  await managed.crash()
  t.equal((await managed.stop()).code, 0)
  t.equal(managed.child.stderr + managed.child.stdout, '')
  const child = started(place, ['--quiet', '--events', 'new.jsonl'])
  await place.mounted()
  await keepmount(place, 'stop', 'it')
  t.equal((await child.end()).code, 0)
  t.equal(statSync(place.path('new.jsonl')).mode & 0o777, 0o600)
  t.equal(lines(readFileSync(place.path('new.jsonl'), 'utf8')).at(-1).event, 'stopped')
})

t.test('a reader that never reads does not stop a mount from being revived', { skip, buffered: true }, async (t) => {
  const place = placeFor(t)
  execFileSync('mkfifo', [place.path('stuck')])
  const stuck = openSync(place.path('stuck'), constants.O_RDWR)
  t.teardown(() => closeSync(stuck))
  // stdout and stderr are pipes that are full before the first word.
  const child = new Child(
    [
      'sh',
      '-c',
      'head -c 65536 /dev/zero >&0; exec "$@" >&0 2>&0',
      'sh',
      process.execPath,
      keepmountCommand,
      'run',
      '--name',
      'it',
      ...unlimited,
      '--events',
      '-',
      '--',
      ...mirrorCommand(place.source, place.mount),
    ],
    { env: place.env, cwd: place.folder, stdio: [stuck, 'pipe', 'pipe'] },
  )
  place.undo(() => child.kill())
  await place.mounted()
  for (let life = 1; life <= 3; life++) {
    const daemon = await daemonOf(place, life)
    process.kill(daemon, 'SIGKILL')
  }
  await daemonOf(place, 4)
  const stopped = await keepmount(place, 'stop', 'it')
  t.equal(stopped.code, 0, stopped.stderr)
  t.equal((await child.end()).code, 0)
  t.strictSame(await place.left(), [])
})

t.test('events that nobody can take any more are no failure', { skip, buffered: true }, async (t) => {
  const place = placeFor(t)
  const child = started(place, ['--events', '-'])
  await child.says(/"mounted"/)
  child.process.stdout?.destroy()
  child.process.stderr?.destroy()
  process.kill(await daemonOf(place, 1), 'SIGKILL')
  await daemonOf(place, 2)
  t.equal((await keepmount(place, 'stop', 'it')).code, 0)
  t.equal((await child.end()).code, 0)
})

t.test('an event file on the managed mount itself is refused', { skip, buffered: true }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place)
  await managed.child.kill()
  const { code, stderr } = await keepmount(place, 'adopt', 'it', '--events', `${place.mount}/events`)
  t.equal(code, 125)
  t.match(stderr, /lies on the managed mount/)
  t.equal((await keepmount(place, 'stop', 'it')).code, 0)
  t.strictSame(await place.left(), [])
})

t.test(
  'on a terminal a pause has a clock, which is cleared when it ends',
  { skip: skip || (!hasScript && 'script(1) is not installed'), buffered: true },
  async (t) => {
    const place = placeFor(t)
    const argv = [
      process.execPath,
      keepmountCommand,
      'run',
      '--name',
      'it',
      '--restart-sec',
      '700ms',
      '--',
      ...mirrorCommand(place.source, place.mount),
    ]
    const child = new Child(keepmountUnder(argv), {
      env: { ...place.env, NO_COLOR: '', TERM: 'xterm' },
      cwd: place.folder,
    })
    place.undo(() => child.kill())
    for (const life of [1, 2]) process.kill(await daemonOf(place, life), 'SIGKILL')
    await daemonOf(place, 3)
    t.equal((await keepmount(place, 'stop', 'it')).code, 0)
    await child.end()
    const screen = child.stdout.replaceAll('\u001b', '^')
    t.match(screen, /\^\[31m✖ crashed .*starting it again in 700 ms/)
    t.match(screen, /\^7\^\[999C\^\[\d+D\^\[33m +⏸ paused 0\.\d s\^\[39m\^8/)
    t.match(screen, /\^7\^\[999C\^\[\d+D\^\[K\^8[^\n]*\^\[32m↻ revived/)
    t.match(screen, /2 crashes, 3 lives, .* of pauses in all/)
  },
)

/** A command on a terminal of its own. */
function keepmountUnder(argv: readonly string[]): string[] {
  try {
    execFileSync('script', ['--version'], { stdio: 'ignore' })
  } catch {
    return []
  }
  return ['script', '-qefc', argv.map((word) => `'${word}'`).join(' '), '/dev/null']
}

/** The daemon of the life that serves, once it does. */
async function daemonOf(place: Place, life: number): Promise<number> {
  for (;;) {
    const { stdout } = await keepmount(place, 'status', '--json')
    const [mount] = JSON.parse(stdout).mounts
    if (mount?.life === life && mount.state === 'serving' && mount.daemon) return mount.daemon.pid
  }
}
