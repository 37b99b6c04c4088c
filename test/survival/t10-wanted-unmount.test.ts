// T10: an unmount that somebody wanted is not a crash, whether the daemon serves or the mount is paused: keepmount ends
// with 0, starts no further life, and leaves nothing.
import { closeSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { umount, umountFlags } from '../../src/native/mount.js'
import { isAborted } from '../../src/settle/aborted.js'
import { nothingLeft } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { runToEnd } from '../fixtures/child.js'
import { until } from '../fixtures/deadline.js'
import { Managed, moodyMirror } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { cannotGraft, stockDaemons } from '../fixtures/stock-daemons.js'
import { unservedMount } from '../fixtures/unserved-mount.js'

const ways: Record<string, (place: Place, application: Application) => Promise<unknown>> = {
  umount: (place) => runToEnd(['umount', place.mount]),
  'umount -l': (place) => runToEnd(['umount', '-l', place.mount]),
  'fusermount3 -u': (place) => runToEnd(['fusermount3', '-u', place.mount]),
  'umount2 with MNT_FORCE': (place, application) => application.do('umount2', place.mount, umountFlags.MNT_FORCE),
  'umount2 with MNT_DETACH': (place, application) => application.do('umount2', place.mount, umountFlags.MNT_DETACH),
}

const LONG_SEC = '600'

/** Each makes a mount that is in the state it is named after. */
interface Situation {
  readonly lives: number
  readonly skip?: string | false
  readonly make: (place: Place) => Promise<Managed>
}
const situations: Record<string, Situation> = {
  serving: { lives: 1, make: (place) => Managed.serving(place) },
  'behind its relay': {
    lives: 2,
    skip: cannotGraft('bindfs'),
    async make(place) {
      const managed = await Managed.serving(place, {
        daemon: stockDaemons.bindfs.command(place),
        options: ['--revive', 'graft', '--after-heal', 'relay'],
      })
      await managed.crash()
      return managed
    },
  },
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

/** umount(8) asks the mount for an answer first (statfs), so in a pause it waits as every application does. */
const mustWait: Record<string, readonly string[]> = {
  'paused, the next life starting': ['umount'],
  'paused, waiting to start the next life': ['umount'],
}

for (const [situation, { lives, make, skip = false }] of Object.entries(situations)) {
  for (const [way, unmount] of Object.entries(ways)) {
    if (mustWait[situation]?.includes(way)) continue
    t.test(`${way} while ${situation} ends keepmount well`, { skip }, async (t) => {
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

/** The relay, or who waits for the mount's answer, has the file system open: its number is not free before keepmount has seen it go. */
const keepNumber = ['behind its relay', 'paused, the next life starting']

for (const [situation, { lives, make, skip = false }] of Object.entries(situations)) {
  if (keepNumber.includes(situation)) continue
  t.test(`somebody else's mount that gets our number at once lives on, while ${situation}`, { skip }, async (t) => {
    const place = placeFor(t)
    const application = new Application(place)
    const managed = await make(place)
    // So that keepmount sees our mount go and the other one come at once.
    process.kill(managed.pid, 'SIGSTOP')
    await application.do('umount2', place.mount, umountFlags.MNT_DETACH)
    let other = unservedMount(t)
    // Another keepmount's life may have a copy of our mount for a moment; until then its number is not free.
    const hasOurs = () => {
      if (other.connection === managed.connection) return true
      umount(other.mountpoint, umountFlags.MNT_DETACH)
      closeSync(other.fd)
      other = unservedMount(t)
      return false
    }
    await until(hasOurs, 'a mount that is given our number')
    process.kill(managed.pid, 'SIGCONT')
    t.same(await managed.child.end(), { code: 0, signal: null })
    t.equal(managed.life, lives, 'no further life')
    t.equal(isAborted(other.fd), false)
    await nothingLeft(t, place)
  })
}

t.test('umount while the next life starts succeeds once that serves', async (t) => {
  const place = placeFor(t)
  const gate = place.path('gate')
  const managed = await Managed.serving(place, { daemon: moodyMirror(place, 'waits', gate) })
  process.kill(managed.daemon, 'SIGKILL')
  await managed.event('crashed')
  const unmounting = runToEnd(['umount', place.mount])
  // keepmount's own question, and that of umount
  await managed.waiting(2)
  writeFileSync(gate, '')
  t.equal((await unmounting).code, 0)
  t.same(await managed.child.end(), { code: 0, signal: null })
  t.notOk(managed.log.names().includes('gave_up'))
  await nothingLeft(t, place)
})
