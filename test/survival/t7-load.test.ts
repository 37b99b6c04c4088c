// T7: load through many crashes: all applications on one mount through 50 kills, a tree that is copied meanwhile, and
// several mounts at once.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { nothingLeft } from '../fixtures/after-all.js'
import { Child } from '../fixtures/child.js'
import { Managed } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { cannotGraft, stockDaemons } from '../fixtures/stock-daemons.js'
import { grafted, mirrorfs } from '../fixtures/ways.js'
import { storm } from '../workload/storm.js'

const KILLS = 50
/** Of a stock daemon; long storms are for scripts/storm. */
const FEWER_KILLS = 25
const SEED = 20_240_524
const ways = [mirrorfs, ...grafted('bindfs')]

// Those that are not storms.
t.jobs = 2

t.test(
  `eight applications do not notice ${KILLS} kills of the daemon, nor those of holders and keepmount`,
  async (t) => {
    const report = await storm({
      kills: KILLS,
      minutes: 3,
      seed: SEED,
      also: ['holder', 'supervisor'],
      progress: (text) => t.comment(text),
    })
    t.same(report.problems, [], JSON.stringify(report, null, 2))
    t.equal(report.kills.daemon, KILLS)
    t.ok(report.kills.holder > 0 && report.kills.supervisor > 0, 'holders and supervisors died too')
    t.ok(report.supervisor_rss_kb.end < 80 * 1024, `the supervisor has ${report.supervisor_rss_kb.end} kB`)
  },
)

t.test(
  `eight applications do not notice ${FEWER_KILLS} kills of bindfs`,
  { skip: cannotGraft('bindfs') },
  async (t) => {
    const daemon = stockDaemons.bindfs
    const progress = (text: string) => t.comment(text)
    const report = await storm({ kills: FEWER_KILLS, minutes: 3, seed: SEED, also: [], daemon, progress })
    t.same(report.problems, [], JSON.stringify(report, null, 2))
    t.equal(report.kills.daemon, FEWER_KILLS)
  },
)

for (const way of ways)
  t.test(
    `${way.name}: a tree that is copied through ten kills is the same afterwards`,
    { skip: way.skip, buffered: true },
    async (t) => {
      const place = placeFor(t)
      const tree = join(place.source, 'tree')
      for (let folder = 0; folder < 20; folder++) {
        mkdirSync(join(tree, `folder ${folder}`), { recursive: true })
        for (let file = 0; file < 50; file++)
          writeFileSync(join(tree, `folder ${folder}`, `file ${file}`), `${folder} ${file}\n`.repeat(1 + file * 20))
      }
      const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
      const copying = new Child(['cp', '-a', join(place.mount, 'tree'), join(place.mount, 'copy')], { env: place.env })
      place.undo(() => copying.kill())
      for (let i = 0; i < 10; i++) await managed.crash()
      t.same(await copying.end(60_000), { code: 0, signal: null }, copying.stderr)
      const compare = new Child(['diff', '-r', tree, join(place.source, 'copy')])
      t.same(await compare.end(60_000), { code: 0, signal: null }, compare.stdout)
      await managed.stop()
      await nothingLeft(t, place)
    },
  )

for (const way of ways)
  t.test(
    `${way.name}: five mounts are kept at once, each with its own crashes`,
    { skip: way.skip, buffered: true },
    async (t) => {
      const places = Array.from({ length: 5 }, () => placeFor(t))
      const start = (place: Place) => Managed.serving(place, { daemon: way.daemon(place), options: way.options })
      const all = await Promise.all(places.map(start))
      for (let i = 0; i < 5; i++) await Promise.all(all.map((managed) => managed.crash()))
      for (const managed of all) {
        t.equal((await managed.status()).life, 6)
        t.same(await managed.stop(), { code: way.ends, signal: null })
        await nothingLeft(t, managed.place)
      }
    },
  )
