// T12: another user can neither take the channel from anybody who has it, nor read or change what keepmount knows, nor
// stop anything.
import { chmodSync } from 'node:fs'
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { runToEnd } from '../fixtures/child.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { builtProgram, keepmountCommand } from '../fixtures/project.js'
import type { Loot } from '../fixtures/stranger.js'

/** Nobody, as Debian has it. */
const STRANGER = 65_534

t.test('another user gets nothing', async (t) => {
  const place = placeFor(t)
  // So that what protects is keepmount's own modes, not those of the test's folder.
  chmodSync(place.folder, 0o755)
  const managed = await Managed.serving(place, { options: unlimited })
  const as = { uid: STRANGER, gid: STRANGER, env: place.env, cwd: '/' }

  await t.test('no channel, no socket, no state, no signal', async (t) => {
    const pids = [managed.pid, managed.daemon, ...managed.holders]
    t.equal(pids.length, 4)
    const argv = [process.execPath, builtProgram('test/fixtures/stranger'), place.state, ...pids.map(String)]
    const { stdout, stderr, code } = await runToEnd(argv, as)
    t.equal(code, 0, stderr)
    const loot = JSON.parse(stdout) as Loot
    t.same(loot.taken, [], 'no descriptor was taken')
    t.same(loot.connected, [], 'no socket let it in')
    t.same(loot.signalled, [], 'no process took a signal')
    t.same(loot.read, [], 'no file was read')
    t.ok(loot.tries > pids.length, 'and it did try')
  })

  for (const command of ['status', 'stop', 'adopt']) {
    await t.test(`keepmount ${command} is refused`, async (t) => {
      const { code } = await runToEnd([process.execPath, keepmountCommand, command, 'it'], as)
      t.equal(code, 125)
    })
  }
  t.same(managed.log.names(), ['held', 'mounted'], 'keepmount did not even notice')
  await managed.crash()
  await endsWell(t, managed)
})
