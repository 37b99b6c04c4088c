// What `status` tells of a real mount: its shape, the living and the dead, and that it waits for nobody.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { keepmount, Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { mirrorCommand } from '../fixtures/project.js'

const skip = process.getuid?.() === 0 ? false : 'needs root'

const parsed = async (...argv: Parameters<typeof keepmount>) => JSON.parse((await keepmount(...argv)).stdout)

t.test('status --json has exactly the documented keys, before and after a crash', { skip }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place)
  const document = await parsed(place, 'status', '--json')
  t.strictSame(Object.keys(document), ['mounts'])
  const [mount] = document.mounts
  t.strictSame(Object.keys(mount), [
    'name',
    'mountpoint',
    'device',
    'connection',
    'state',
    'revive',
    'life',
    'daemon',
    'holders',
    'supervisor',
    'crashes',
    'last_crash',
    'healing',
    'waiting',
  ])
  const { connection, device } = await managed.event('mounted')
  t.strictSame(mount, {
    name: 'it',
    mountpoint: place.mount,
    device,
    connection,
    state: 'serving',
    revive: 'inherit',
    life: 1,
    daemon: { pid: managed.daemon, argv: mirrorCommand(place.source, place.mount) },
    holders: managed.holders.map((pid) => ({ pid })),
    supervisor: { pid: managed.pid },
    crashes: 0,
    last_crash: null,
    healing: null,
    waiting: 0,
  })
  const dead = managed.daemon
  const { downtime_ms } = await managed.crash()
  t.match(await managed.status(), {
    state: 'serving',
    life: 2,
    crashes: 1,
    last_crash: { time: /^\d{4}-.*Z$/, life: 1, pid: dead, code: null, signal: 'SIGKILL', downtime_ms },
  })
  for (const target of [place.mount, `${place.mount}/`, 'it', './mount']) {
    t.match(await parsed(place, 'status', '--json', target), { mounts: [{ name: 'it' }] }, target)
  }
  const told = await keepmount(place, 'status')
  t.match(told.stdout, /^NAME .*\nit +serving +.*\/mount +2 +1 +.* ago, SIGKILL, paused /)
  t.equal((await managed.stop()).code, 0)
  t.strictSame(await place.left(), [])
})

t.test('a mount whose keepmount process died is unsupervised, and its dead are left out', { skip }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place)
  const [first = 0, second = 0] = managed.holders
  await managed.child.kill()
  t.match(await managed.status(), { state: 'unsupervised', supervisor: null, daemon: { pid: managed.daemon } })
  process.kill(first, 'SIGKILL')
  process.kill(managed.daemon, 'SIGKILL')
  // The mount is silent now: whoever touched it would wait for ever.
  const told = await keepmount(place, 'status')
  t.match(told.stdout, /unsupervised .*→ .*keepmount adopt it/s)
  t.match(await managed.status(), { daemon: null, holders: [{ pid: second }] })
  const stopped = await keepmount(place, 'stop', place.mount)
  t.equal(stopped.code, 0, stopped.stderr)
  t.match(stopped.stderr, /stopping .*\n○ .* is stopped after/)
  t.strictSame(await place.left(), [])
})

t.test('a broken record is a problem of its own and hides no other mount', { skip }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place)
  mkdirSync(place.path('state/broken'), { mode: 0o700 })
  writeFileSync(place.path('state/broken/state.json'), '{', { mode: 0o600 })
  // One that only begins has no record yet, and what lies about is no mount.
  mkdirSync(place.path('state/begins'), { mode: 0o700 })
  writeFileSync(place.path('state/stray'), '')
  const { code, stdout, stderr } = await keepmount(place, 'status', '--json')
  t.equal(code, 125)
  t.match(JSON.parse(stdout), {
    mounts: [{ name: 'it', state: 'serving' }],
    problems: [{ name: 'broken', problem: { code: 'STATE_FILE_BROKEN', message: /not JSON/, remedy: /mv / } }],
  })
  t.equal(JSON.parse(stdout).mounts.length, 1)
  t.match(stderr, /broken\/state\.json cannot be read: it is not JSON\n {2}→ /)
  t.equal((await managed.stop()).code, 0)
})

t.test('another user’s state is not read', { skip }, async (t) => {
  const place = placeFor(t)
  mkdirSync(place.state, { mode: 0o700 })
  chmodSync(place.state, 0o000)
  t.match(await parsed(place, 'status', '--json'), { mounts: [] })
})
