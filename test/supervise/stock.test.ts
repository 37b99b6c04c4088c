// A daemon that cannot go on with a channel it is handed must be found out, not restarted for ever.
import t from 'tap'
import { nothingLeft } from '../fixtures/after-all.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'

t.test(
  'a stock daemon under inherit is found out, the loop stops, and the reason is told',
  { timeout: 60_000 },
  async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, {
      daemon: ['bindfs', '-f', place.source, place.mount],
      options: [...unlimited, '--revive', 'inherit', '--on-give-up', 'umount'],
    })
    process.kill(managed.daemon, 'SIGKILL')
    const { reason, life } = await managed.event('gave_up')
    t.equal(reason, 'stock-daemon')
    t.equal(life, 2, 'with the first life that was handed the channel')
    const { code } = await managed.child.end()
    t.equal(code, 137)
    t.match(managed.child.stderr, /--revive remount/, 'what to do is said')
    await nothingLeft(t, place)
  },
)

t.test('a daemon that answers EIO to everything is found out', { timeout: 60_000 }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, {
    daemon: [process.execPath, builtProgram('test/fixtures/no-init-daemon'), place.mount],
    options: [...unlimited, '--revive', 'inherit', '--on-give-up', 'umount'],
  })
  process.kill(managed.daemon, 'SIGKILL')
  t.match(await managed.event('gave_up'), { reason: 'stock-daemon', detail: /EIO/ })
  await managed.child.end()
  await nothingLeft(t, place)
})

t.test('a slow daemon is not taken for one', { timeout: 60_000 }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, { options: unlimited })
  process.kill(managed.daemon, 'SIGKILL')
  const crashed = await managed.event('crashed')
  // The next life is stopped before it can answer, for longer than a stock daemon is given.
  const { daemon } = await managed.status()
  process.kill(daemon?.pid ?? 0, 'SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, 2500))
  process.kill(daemon?.pid ?? 0, 'SIGCONT')
  t.match(await managed.event('revived'), { life: crashed.life + 1 })
  t.equal((await managed.stop()).code, 0)
  await nothingLeft(t, place)
})
