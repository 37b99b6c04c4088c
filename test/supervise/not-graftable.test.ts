// Stock daemons whose next life cannot be given another channel: that is found out at once, and the reason is told.
import t from 'tap'
import { nothingLeft } from '../fixtures/after-all.js'
import { compiledVictim, noCompiler } from '../fixtures/compiled.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'

const skip = process.getuid?.() !== 0 ? 'needs root' : noCompiler

t.test('a daemon that reads through an io_uring is not grafted', { skip, timeout: 60_000 }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, {
    daemon: [compiledVictim(place, 'ring-daemon'), place.mount],
    options: [...unlimited, '--revive', 'graft', '--on-give-up', 'umount'],
  })
  process.kill(managed.daemon, 'SIGKILL')
  t.match(await managed.event('gave_up', { deadline: 5000 }), {
    reason: 'not-graftable',
    detail: /io_uring/,
    life: 2,
  })
  await managed.child.end()
  await nothingLeft(t, place)
})
