// From the relay back to the channel: as soon as the last file of an earlier life is let go, whatever it was held by, and
// not before; who holds on is told.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { umount } from '../../src/native/mount.js'
import type { RelayedReason } from '../../src/supervise/relayed.js'
import { nothingLeft } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Child } from '../fixtures/child.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'

interface Scene {
  readonly place: Place
  readonly app: Application
  readonly file: string
  readonly folder: string
}

/** `hold` takes something into hand; what it returns lets go of it. */
interface Row {
  readonly what: string
  readonly hold: (scene: Scene) => Promise<() => unknown>
  readonly reason: RelayedReason
  /** The path of a pin as it is shown. */
  readonly path?: (scene: Scene) => string
  /** If it is the kernel that holds it. */
  readonly byKernel?: true
  readonly skip?: string | false
}

/** Everywhere and always; how quick it is for most, where nothing else needs the processor. */
const PATIENCE = 10_000
const QUICK = 100
const WORK_US = 30_000
const healedAfter: number[] = []
/** How much longer things take than they would alone; the worst that was seen. */
let slowness = 1
const has = (program: string): boolean => spawnSync('which', [program]).status === 0

const rows: readonly Row[] = [
  {
    what: 'an open file',
    async hold({ app, file }) {
      const fd = await app.do('openSync', file, 'r+')
      return () => app.do('closeSync', fd)
    },
    reason: 'pinned',
    path: ({ file }) => file,
  },
  {
    what: 'an open file that is used after the crash',
    async hold({ app, file }) {
      const fd = await app.do('openSync', file, 'r+')
      return async () => {
        await app.do('readFrom', fd, 0, 5)
        await app.do('closeSync', fd)
      }
    },
    reason: 'pinned',
    path: ({ file }) => file,
  },
  {
    what: 'a current folder',
    async hold({ app, folder, place }) {
      await app.do('chdir', folder)
      return () => app.do('chdir', place.folder)
    },
    reason: 'pinned',
    path: ({ folder }) => folder,
  },
  {
    what: 'a mapping of a file that is closed',
    async hold({ app, file }) {
      const fd = await app.do('openSync', file, 'r+')
      await app.do('map', fd, 4096)
      await app.do('closeSync', fd)
      return () => app.do('unmap')
    },
    reason: 'pinned',
    path: ({ file }) => file,
  },
  {
    what: 'a watch',
    async hold({ app, file }) {
      await app.do('watchFile', file)
      return () => app.do('unwatchFile')
    },
    reason: 'pinned',
  },
  {
    what: 'a bind mount of a folder',
    async hold({ place, folder }) {
      const target = place.path('bound')
      mkdirSync(target)
      place.ownMounts.add(target)
      spawnSync('mount', ['--bind', folder, target])
      return () => umount(target, 0)
    },
    reason: 'pinned',
    path: ({ place }) => place.path('bound'),
    byKernel: true,
    skip: !has('mount') && 'no mount',
  },
  {
    what: 'a file open below a bind mount of another namespace',
    async hold({ place, folder }) {
      const target = place.path('elsewhere')
      mkdirSync(target)
      const script = `mount --bind ${folder} ${target} && exec 5<${target}/inner && echo ready && read line`
      const child = new Child(['unshare', '-m', 'sh', '-c', script], { env: place.env, cwd: '/' })
      place.undo(() => child.kill())
      await child.says(/ready/)
      return () => child.process.stdin?.end()
    },
    reason: 'pinned',
    path: ({ place }) => `${place.path('elsewhere')}/inner`,
    skip: !has('unshare') && 'no unshare',
  },
  {
    what: 'a loop device',
    async hold({ file }) {
      const loop = spawnSync('losetup', ['-f', '--show', '-r', file], { encoding: 'utf8' }).stdout.trim()
      return () => spawnSync('losetup', ['-d', loop])
    },
    reason: 'pinned',
    path: ({ file }) => file,
    byKernel: true,
    skip: !hasLoops() && 'no loop devices',
  },
  {
    what: 'a file on its way through a socket',
    async hold({ app, file }) {
      await app.do('sendOff', await app.do('openSync', file, 'r'))
      return async () => app.do('closeSync', await app.do('receiveBack'))
    },
    reason: 'unseen',
  },
]

function hasLoops(): boolean {
  return has('losetup') && spawnSync('losetup', ['-f'], { encoding: 'utf8' }).stdout.startsWith('/dev/loop')
}
const common = process.getuid?.() !== 0 ? 'needs root' : !has('bindfs') && 'no bindfs'

for (const row of rows)
  t.test(
    `${row.what} keeps the mount behind its relay, and no longer than it is held`,
    { skip: common || (row.skip ?? false), timeout: 60_000 },
    (t) => holds(t, row),
  )

async function holds(t: Test, { hold, reason, path, byKernel }: Row): Promise<void> {
  const place = placeFor(t)
  mkdirSync(place.path('source/folder'))
  writeFileSync(place.path('source/folder/inner'), 'inner')
  writeFileSync(place.path('source/file'), 'bytes'.padEnd(8192))
  const managed = await Managed.serving(place, {
    daemon: ['bindfs', '-f', place.source, place.mount],
    options: [...unlimited, '--revive', 'graft'],
  })
  const app = new Application(place)
  const scene = { place, app, file: `${place.mount}/file`, folder: `${place.mount}/folder` }
  const release = await hold(scene)
  for (let run = 1; run <= 2; run++) {
    await managed.crash()
    const { healing, state } = await healingOf(managed, reason)
    t.equal(state, 'healing')
    if (path) {
      const pin = healing?.pins.find((each) => each.path === path(scene))
      t.match(pin, byKernel ? { pid: null } : { pid: Number, command: String }, 'who holds it is told')
    }
    t.equal(managed.log.find('healed'), undefined, 'it is not healed while it is held')
  }
  const before = Date.now()
  await release()
  const { time } = await managed.event('healed')
  const ms = Date.parse(time) - before
  t.comment(`healed ${ms} ms after it was let go`)
  t.ok(ms <= PATIENCE, `healed within ${PATIENCE} ms: ${ms}`)
  healedAfter.push(ms)
  slowness = Math.max(slowness, slownessNow())
  t.match(await managed.status(), { state: 'serving', healing: null })
  t.equal(await app.do('readFileSync', `${place.mount}/folder/inner`, 'utf8'), 'inner')
  app.kill()
  await app.ended
  t.equal((await managed.stop()).code, 0)
  await nothingLeft(t, place)
}

t.test(`it mostly takes no more than ${QUICK} ms on a machine that does nothing else`, { skip: common }, async (t) => {
  const median = healedAfter.toSorted((a, b) => a - b)[healedAfter.length >> 1] ?? 0
  t.ok(median <= QUICK * slowness, `${healedAfter} where all takes ${slowness.toFixed(1)} times as long`)
})

/** How long this process has to wait for the processor while it works, against how long it works. */
function slownessNow(): number {
  const [begin, cpu] = [performance.now(), process.cpuUsage()]
  let used = 0
  while (used < WORK_US) used = process.cpuUsage(cpu).user + process.cpuUsage(cpu).system
  return (1000 * (performance.now() - begin)) / used
}

/** The status once it tells this reason. */
async function healingOf(managed: Managed, reason: RelayedReason): ReturnType<Managed['status']> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const status = await managed.status()
    if (status.healing?.reason === reason || performance.now() > deadline) return status
  }
}

t.test('--after-heal relay stays, and says so', { skip: common, timeout: 60_000 }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, {
    daemon: ['bindfs', '-f', place.source, place.mount],
    options: [...unlimited, '--revive', 'graft', '--after-heal', 'relay'],
  })
  await managed.crash()
  t.match(await managed.event('relayed'), { reason: 'asked' })
  t.match(await healingOf(managed, 'asked'), { state: 'healing', healing: { reason: 'asked', pins: [] } })
  t.equal((await managed.stop()).code, 0)
})
