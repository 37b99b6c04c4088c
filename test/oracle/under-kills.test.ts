// The oracle on a managed mount: without kills, and while its daemon is killed again and again.
import t from 'tap'
import { findingText, oracle } from '../../src/oracle/index.js'
import { endsWell, nothingLeft, worksOn } from '../fixtures/after-all.js'
import { Child } from '../fixtures/child.js'
import { placeFor } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'
import { cannotGraft, oracleRow, type StockDaemon, type StockName, stockDaemons } from '../fixtures/stock-daemons.js'
import { underKills } from './under-kills.js'

t.setTimeout(180_000)
// They mostly wait for processes to start.
t.jobs = 3

t.test('the mirror is clean without kills, and under 20 of them', async (t) => {
  const place = placeFor(t)
  const { baseline, verdict, pauses, problems, managed } = await underKills(place, {
    seed: 51,
    operations: 200,
    kills: 20,
    calm: 60,
    beneath: place.source,
  })
  t.same(baseline.findings.map(findingText), [], 'clean without kills')
  t.same(baseline.left, [], 'the mirror can do everything')
  t.same(verdict?.findings.map(findingText), [], 'clean with kills')
  t.equal(pauses.length, 20)
  t.same(problems, [])
  await endsWell(t, managed)
})

/** Few kills each: more of them is what run.ts is for. */
const stock = [
  'bindfs',
  'passthrough_ll-writeback',
  'mergerfs',
  'sshfs',
  'gocryptfs',
  'pyfuse3',
] as const satisfies readonly StockName[]

for (const name of stock)
  t.test(
    `${name} is clean under kills, but for what its row declares`,
    { skip: cannotGraft(name), buffered: true },
    async (t) => {
      const place = placeFor(t)
      const daemon: StockDaemon = stockDaemons[name]
      const { verdict, pauses, problems, managed } = await underKills(place, {
        seed: 71,
        operations: 10,
        kills: 3,
        calm: 100,
        run: ['--revive', 'graft'],
        daemon: daemon.command(place),
        ...oracleRow(daemon),
      })
      t.same(verdict?.findings.map(findingText), [])
      t.equal(pauses.length, 3)
      t.same(problems, [])
      await worksOn(t, place)
      const { code } = await managed.stop()
      t.ok(code === 0 || code === daemon.ends, `it ends by itself (${code})`)
      await nothingLeft(t, place)
    },
  )

t.test('what a stock daemon cannot do is left out, and the rest is clean', async (t) => {
  const place = placeFor(t)
  const daemon = new Child(['bindfs', '-f', place.source, place.mount], { env: place.env })
  place.undo(() => daemon.kill())
  await place.mounted()
  const performer = [builtProgram('src/oracle/perform/main')]
  const { findings, left } = await oracle({ folder: place.mount, seed: 61, operations: 300, performer })
  t.same(findings.map(findingText), [])
  // Its paths give each link a node of its own, and it writes mapped pages back through handles that append.
  const features = left.map(({ feature }) => feature)
  for (const feature of ['link', 'mappedAppend'] as const) t.ok(features.includes(feature), feature)
})
