// T3: kill -9 of an application while its request is lost. The kernel cannot end it before the request has an answer
// (fs/fuse/dev.c, request_wait_answer), so it is the bound of the pause that frees it.
import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { umount, umountFlags } from '../../src/native/mount.js'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { within } from '../fixtures/deadline.js'
import { Managed } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { barredBy, grafted, mirrorfs, type Way } from '../fixtures/ways.js'

const HOLD_SEC = 2
/** Beyond the bound itself; the machine may be busy. */
const GRACE_MS = 5000

const withinBound = (application: Application): Promise<unknown> =>
  within(application.ended, HOLD_SEC * 1000 + GRACE_MS, 'the end of an application that was killed')

// They mostly wait.
t.jobs = 2

/** A mount whose daemon stands still with the request of an application. */
async function lostRequest(place: Place, way: Way, more: readonly string[] = []) {
  const sticky = await way.sticky(place, 'MKDIR')
  const managed = await Managed.serving(place, { daemon: sticky.daemon, options: [...way.options, ...more] })
  const application = new Application(place)
  await application.do('statSync', place.mount)
  sticky.stick()
  application.outcome('mkdirSync', `${place.mount}/lost`)
  await sticky.stuck()
  return { sticky, managed, application }
}

for (const way of [mirrorfs, ...grafted('bindfs', 'passthrough_ll')]) {
  const test = (what: string, run: (t: Test) => Promise<void>) =>
    t.test(`${way.name}, by ${way.revive}: ${what}`, { skip: way.skip, buffered: true }, run)

  for (const { what, more } of [
    { what: 'resent frees its application as soon as the next life serves', more: [] },
    {
      what: 'held frees its application when the longest pause is over',
      more: ['--in-flight', 'hold', '--hold-timeout', String(HOLD_SEC)],
    },
  ])
    test(`a request that is ${what}`, async (t) => {
      const place = placeFor(t)
      const { sticky, managed, application } = await lostRequest(place, way, more)
      const from = managed.log.events.length
      await sticky.kill(managed)
      application.kill()
      t.equal(await Promise.race([application.ended, 'it hangs']), 'it hangs', 'it cannot end without an answer')
      sticky.loosen()
      await managed.event('revived', { from })
      await withinBound(application)
      t.pass('the application has ended')
      await endsWell(t, managed, way.ends)
    })

  test('if no life comes back, the application is freed at the hold timeout and the mount is given up', async (t) => {
    const place = placeFor(t)
    const bar = place.path('bar')
    const managed = await Managed.serving(place, {
      daemon: barredBy(bar, way.daemon(place)),
      options: [...way.options, '--hold-timeout', String(HOLD_SEC)],
    })
    const [killed, patient] = [new Application(place), new Application(place)]
    await killed.do('mkdirSync', `${place.mount}/0`)
    await patient.do('mkdirSync', `${place.mount}/1`)
    await managed.pause()
    writeFileSync(bar, '')
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
    t.same(await place.left(), [], 'but for the dead mount, nothing is left')
  })
}
