// T10: an unmount that somebody wanted is not a crash, whether the daemon serves or the mount is paused: keepmount ends
// with 0, starts no further life, and leaves nothing.
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { umountFlags } from '../../src/native/mount.js'
import { nothingLeft } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { runToEnd } from '../fixtures/child.js'
import { Managed, moodyMirror } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'

const ways: Record<string, (place: Place, application: Application) => Promise<unknown>> = {
  umount: (place) => runToEnd(['umount', place.mount]),
  'umount -l': (place) => runToEnd(['umount', '-l', place.mount]),
  'fusermount3 -u': (place) => runToEnd(['fusermount3', '-u', place.mount]),
  'umount2 with MNT_FORCE': (place, application) => application.do('umount2', place.mount, umountFlags.MNT_FORCE),
  'umount2 with MNT_DETACH': (place, application) => application.do('umount2', place.mount, umountFlags.MNT_DETACH),
}

const LONG_SEC = '600'

/** Each makes a mount that is in the state it is named after. */
const situations: Record<string, { lives: number; make: (place: Place) => Promise<Managed> }> = {
  serving: { lives: 1, make: (place) => Managed.serving(place) },
  'paused, the next life starting': {
    lives: 2,
    async make(place) {
      const managed = await Managed.serving(place, { daemon: moodyMirror(place, 'waits', place.path('never')) })
      process.kill(managed.daemon, 'SIGKILL')
      await managed.event('crashed')
      return managed
    },
  },
  'paused, waiting to start the next life': {
    lives: 2,
    async make(place) {
      const managed = await Managed.serving(place, { options: ['--restart-sec', LONG_SEC, '--hold-timeout', LONG_SEC] })
      // The first restart is immediate.
      await managed.crash()
      const from = managed.log.events.length
      process.kill(managed.daemon, 'SIGKILL')
      await managed.event('crashed', { from })
      return managed
    },
  },
}

/**
 * umount(8) asks the mount for an answer first (statfs), so in a pause it waits as every application does. And whoever
 * waits for an answer, as keepmount does while a life starts, keeps the mount in use for those who are not lazy.
 */
const mustWait: Record<string, readonly string[]> = {
  'paused, the next life starting': ['umount', 'fusermount3 -u'],
  'paused, waiting to start the next life': ['umount'],
}

for (const [situation, { lives, make }] of Object.entries(situations)) {
  for (const [way, unmount] of Object.entries(ways)) {
    if (mustWait[situation]?.includes(way)) continue
    t.test(`${way} while ${situation} ends keepmount well`, async (t) => {
      const place = placeFor(t)
      const application = new Application(place)
      const managed = await make(place)
      const crashes = managed.log.all('crashed').length
      await unmount(place, application)
      t.same(await managed.child.end(), { code: 0, signal: null })
      const { reason } = await managed.event('unmounted')
      t.equal(reason, 'unmounted')
      t.equal(managed.life, lives, 'no further life')
      t.equal(managed.log.all('crashed').length, crashes, 'no crash')
      await nothingLeft(t, place)
    })
  }
}

for (const argv of [['umount'], ['fusermount3', '-u']]) {
  t.test(`${argv.join(' ')} while the next life starts succeeds once that serves`, async (t) => {
    const place = placeFor(t)
    const gate = place.path('gate')
    const managed = await Managed.serving(place, { daemon: moodyMirror(place, 'waits', gate) })
    process.kill(managed.daemon, 'SIGKILL')
    await managed.event('crashed')
    // keepmount's own question
    await managed.waiting(1)
    const first = runToEnd([...argv, place.mount])
    if (argv[0] === 'umount') await managed.waiting(2)
    else t.not((await first).code, 0, 'it is told that the mount is in use')
    writeFileSync(gate, '')
    // If keepmount’s own question is answered at the same moment, the mount may be in use for an instant.
    if ((await first).code !== 0) {
      await managed.event('revived')
      t.equal((await runToEnd([...argv, place.mount])).code, 0)
    }
    t.same(await managed.child.end(), { code: 0, signal: null })
    t.same(managed.log.names(), ['held', 'mounted', 'crashed', 'revived', 'unmounted', 'stopped'])
    await nothingLeft(t, place)
  })
}
