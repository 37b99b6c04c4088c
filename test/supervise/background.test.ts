// Daemons that fork into the background: the process that was started ends, and another one serves.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { argvOf } from '../../src/kernel/process.js'
import type { Pid } from '../../src/native/types.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'

const revive = ['--revive', 'remount'] as const

t.test('a daemon that forks twice is followed: held, revived, and stopped', { timeout: 60_000 }, async (t) => {
  const place = placeFor(t)
  writeFileSync(join(place.source, 'file'), 'x')
  const managed = await Managed.serving(place, {
    daemon: ['bindfs', place.source, place.mount],
    options: [...unlimited, ...revive],
  })
  const { daemon, state } = await managed.status()
  t.equal(state, 'serving')
  t.match(daemon?.argv, ['bindfs', place.source, place.mount])
  await managed.crash()
  t.ok(existsSync(join(place.mount, 'file')))
  t.equal((await managed.stop()).code, 0)
  t.strictSame(place.leftovers(), [])
})

t.test('its channel is captured from whoever serves', { timeout: 60_000 }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, { daemon: ['bindfs', place.source, place.mount], options: unlimited })
  t.match(managed.log.find('held'), { channels: 1 })
  t.equal((await managed.stop()).code, 0)
  t.strictSame(place.leftovers(), [])
})

t.test(
  'a daemon under a wrapper that waits for it is followed, and the wrapper goes with it',
  { timeout: 60_000 },
  async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, {
      daemon: [
        'sh',
        '-c',
        'bindfs -f "$1" "$2" & wait; echo the wrapper goes on; sleep 1000',
        'sh',
        place.source,
        place.mount,
      ],
      options: [...unlimited, ...revive],
    })
    t.equal(argvOf(managed.daemon as Pid)[0], 'bindfs')
    await managed.crash()
    t.equal((await managed.stop()).code, 0)
    t.strictSame(place.leftovers(), [])
  },
)
