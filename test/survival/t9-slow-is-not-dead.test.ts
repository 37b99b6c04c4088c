// T9: a daemon that is stopped, that waits for a slow disk, or that takes long to come back is not dead: nothing calls it
// so before the bounds the user set, and no question of keepmount's own hangs with it.
import { writeFileSync } from 'node:fs'
import { setTimeout as pass } from 'node:timers/promises'
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed, moodyMirror, StickyMirror, statusOf, unlimited } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'

// They mostly wait.
t.jobs = 2

/** The test is about nothing happening in a time: longer than any probe's patience. */
const SLOW_MS = 4000

/** Status is asked for, and answers, as long as the daemon is slow. */
async function watchStatus(place: Place): Promise<Set<string>> {
  const seen = new Set<string>()
  const end = performance.now() + SLOW_MS
  while (performance.now() < end) {
    seen.add((await statusOf(place)).state)
    await pass(200)
  }
  return seen
}

t.test('a daemon that is stopped goes on where it was', { buffered: true }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, { options: unlimited })
  const application = new Application(place)
  await application.do('statSync', place.mount)
  const { daemon } = managed
  process.kill(daemon, 'SIGSTOP')
  const result = application.outcome('mkdirSync', `${place.mount}/made`)
  await managed.waiting(1)
  t.same(await watchStatus(place), new Set(['serving']), 'it counts as serving')
  process.kill(daemon, 'SIGCONT')
  t.equal(await result, 'done')
  t.same(managed.log.names(), ['held', 'mounted'], 'nothing happened')
  t.equal(managed.daemon, daemon)
  await endsWell(t, managed)
})

t.test('a daemon that waits for its disk is left alone', { buffered: true }, async (t) => {
  const place = placeFor(t)
  const mirror = new StickyMirror(place, 'read', 'MKDIR')
  const managed = await Managed.serving(place, { daemon: mirror.daemon, options: unlimited })
  const application = new Application(place)
  await application.do('statSync', place.mount)
  mirror.stick()
  const result = application.outcome('mkdirSync', `${place.mount}/made`)
  await mirror.stuck()
  t.same(await watchStatus(place), new Set(['serving']))
  mirror.loosen()
  t.equal(await result, 'done')
  t.same(managed.log.names(), ['held', 'mounted'])
  await endsWell(t, managed)
})

t.test('a life that takes long to come back is waited for', { buffered: true }, async (t) => {
  const place = placeFor(t)
  const gate = place.path('gate')
  const managed = await Managed.serving(place, { daemon: moodyMirror(place, 'waits', gate), options: unlimited })
  const application = new Application(place)
  await application.do('statSync', place.mount)
  const from = managed.log.events.length
  process.kill(managed.daemon, 'SIGKILL')
  await managed.event('crashed', { from })
  const result = application.outcome('mkdirSync', `${place.mount}/made`)
  t.same(await watchStatus(place), new Set(['proving']))
  t.same(managed.log.names(), ['held', 'mounted', 'crashed'], 'it is not given up')
  writeFileSync(gate, '')
  const { life, downtime_ms } = await managed.event('revived', { from })
  t.equal(life, 2)
  t.ok(downtime_ms >= SLOW_MS, 'the pause is told as long as it was')
  t.equal(await result, 'done')
  await endsWell(t, managed)
})

t.test('a life that is stopped while it comes back is waited for', { buffered: true }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, { options: unlimited })
  const from = managed.log.events.length
  process.kill(managed.daemon, 'SIGKILL')
  await managed.event('crashed', { from })
  const young = (await statusOf(place)).daemon?.pid
  if (young === undefined) return t.fail('there is no second life')
  process.kill(young, 'SIGSTOP')
  await pass(SLOW_MS)
  t.equal(managed.log.all('crashed').length, 1)
  process.kill(young, 'SIGCONT')
  const { life } = await managed.event('revived', { from })
  t.equal(life, 2)
  return endsWell(t, managed)
})
