// Healed while applications work on the mount: they open, read and list the same files again and again and make new ones,
// and see nothing of it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { nothingLeft } from '../fixtures/after-all.js'
import { Child } from '../fixtures/child.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'
import { cannotGraft, stockDaemons } from '../fixtures/stock-daemons.js'

const APPLICATIONS = 3
const KILLS = 2
const FILES = 20
/** It needs moments when nobody uses a folder, and comes to them the slower the less of the processor there is. */
const DEADLINE = 90_000

for (const name of ['bindfs', 'passthrough_ll', 'sshfs'] as const)
  t.test(`${name} is healed while applications work on it`, { skip: cannotGraft(name), timeout: 300_000 }, (t) =>
    heals(t, name),
  )

async function heals(t: Test, name: 'bindfs' | 'passthrough_ll' | 'sshfs'): Promise<void> {
  const place = placeFor(t)
  for (const folder of ['a', 'a/b']) mkdirSync(join(place.source, folder))
  for (let i = 0; i < FILES; i++)
    for (const folder of ['', 'a', 'a/b'])
      writeFileSync(join(place.source, folder, `file-${i}`), `file ${i} of ${folder}`)
  const managed = await Managed.serving(place, {
    daemon: stockDaemons[name].command(place),
    options: [...unlimited, '--revive', 'graft'],
  })
  const workers = Array.from({ length: APPLICATIONS }, (_, i) => {
    const worker = new Child(
      [process.execPath, builtProgram('test/fixtures/busy'), place.mount, String(FILES), String(i)],
      {
        env: place.env,
      },
    )
    place.undo(() => worker.kill())
    return worker
  })
  for (const worker of workers) await worker.says(/working/)
  for (let kill = 1; kill <= KILLS; kill++) {
    await managed.crash()
    const at = performance.now()
    const { life, heal_ms } = await managed.event('healed', {
      where: ({ life }) => life === kill + 1,
      deadline: DEADLINE,
    })
    t.equal(life, kill + 1, 'while they work')
    t.comment(`healed after ${Math.round(heal_ms)} ms, ${Math.round(performance.now() - at)} ms after it was revived`)
  }
  for (const worker of workers) {
    worker.process.stdin?.end()
    t.same(await worker.end(), { code: 0, signal: null }, worker.stderr)
    t.comment(worker.stdout.trim().split('\n').at(-1) ?? '')
  }
  await managed.stop()
  await nothingLeft(t, place)
}
