// T3: kill -9 of an application while its request is lost. The kernel cannot end it before the request has an answer
// (fs/fuse/dev.c, request_wait_answer), so it is the bound of the pause that frees it.
import t from 'tap'
import { umount, umountFlags } from '../../src/native/mount.js'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { within } from '../fixtures/deadline.js'
import { Managed, moodyMirror, StickyMirror, unlimited } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'

const HOLD_SEC = 3
/** Beyond the bound itself; the machine may be busy. */
const GRACE_MS = 5000

const withinBound = (application: Application): Promise<unknown> =>
  within(application.ended, HOLD_SEC * 1000 + GRACE_MS, 'the end of an application that was killed')

/** A mount whose daemon is killed after it has read the request of an application. */
async function lostRequest(place: Place, options: readonly string[]) {
  const mirror = new StickyMirror(place, 'read', 'MKDIR')
  const managed = await Managed.serving(place, { daemon: mirror.daemon, options })
  const application = new Application(place)
  await application.do('statSync', place.mount)
  mirror.stick()
  const result = application.outcome('mkdirSync', `${place.mount}/lost`)
  await mirror.stuck()
  return { mirror, managed, application, result }
}

t.test('a request that is resent frees its application as soon as the next life serves', async (t) => {
  const place = placeFor(t)
  const { mirror, managed, application } = await lostRequest(place, unlimited)
  const from = managed.log.events.length
  process.kill(managed.daemon, 'SIGKILL')
  application.kill()
  await managed.event('crashed', { from })
  mirror.loosen()
  await managed.event('revived', { from })
  await withinBound(application)
  t.pass('the application has ended')
  await endsWell(t, managed)
})

t.test('a request that is held frees its application when the longest pause is over', async (t) => {
  const place = placeFor(t)
  const options = [...unlimited, '--in-flight', 'hold', '--hold-timeout', String(HOLD_SEC)]
  const { mirror, managed, application } = await lostRequest(place, options)
  const from = managed.log.events.length
  process.kill(managed.daemon, 'SIGKILL')
  application.kill()
  await managed.event('crashed', { from })
  mirror.loosen()
  await managed.event('revived', { from })
  await withinBound(application)
  t.pass('the application has ended')
  await endsWell(t, managed)
})

t.test('if no life comes back, the application is freed at the hold timeout and the mount is given up', async (t) => {
  const place = placeFor(t)
  const never = place.path('never')
  const managed = await Managed.serving(place, {
    daemon: moodyMirror(place, 'waits', never),
    options: [...unlimited, '--hold-timeout', String(HOLD_SEC)],
  })
  const [killed, patient] = [new Application(place), new Application(place)]
  await killed.do('mkdirSync', `${place.mount}/0`)
  await patient.do('mkdirSync', `${place.mount}/1`)
  process.kill(managed.daemon, 'SIGSTOP')
  const results = [killed, patient].map((application, i) =>
    application.outcome('mkdirSync', `${place.mount}/${i}/lost`),
  )
  await managed.waiting(2)
  process.kill(managed.daemon, 'SIGKILL')
  killed.kill()
  await withinBound(killed)
  const { reason, action } = await managed.event('gave_up')
  t.same({ reason, action }, { reason: 'hold-timeout', action: 'abort' })
  t.equal(await results[1], 'ECONNABORTED', 'one that was not killed gets a clean error')
  t.same(await managed.child.end(), { code: 137, signal: null })
  umount(place.mount, umountFlags.MNT_DETACH)
  t.same(place.leftovers(), [], 'but for the dead mount, nothing is left')
})
