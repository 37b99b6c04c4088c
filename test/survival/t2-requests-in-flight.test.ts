// T2: a kill with requests queued, read and half answered. What each ends with, and that none waits afterwards.
import { existsSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed, moodyMirror, StickyMirror, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'

const policies = ['resend', 'fail:EIO', 'hold'] as const
type Policy = (typeof policies)[number]
/** Requests that are held come again when the longest pause is over. */
const HOLD_SEC = 3
const optionsFor = (policy: Policy) => [
  ...unlimited,
  ...['--in-flight', policy],
  ...(policy === 'hold' ? ['--hold-timeout', String(HOLD_SEC)] : []),
]

for (const policy of policies) {
  t.test(`queued: with --in-flight ${policy}, what no life had read is answered by the next one`, async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, { options: optionsFor(policy) })
    // Each in a folder of its own: the kernel asks for one change of a folder at a time.
    const applications = Array.from({ length: 6 }, () => new Application(place))
    await Promise.all(applications.map((application, i) => application.do('mkdirSync', `${place.mount}/${i}`)))

    process.kill(managed.daemon, 'SIGSTOP')
    const results = applications.map((application, i) => application.outcome('mkdirSync', `${place.mount}/${i}/queued`))
    await managed.waiting(applications.length)
    await managed.crash()

    t.same(await Promise.all(results), ['done', 'done', 'done', 'done', 'done', 'done'])
    await endsWell(t, managed)
  })
}

const read = [
  { policy: 'resend', outcome: 'done', made: true },
  { policy: 'fail:EIO', outcome: 'EIO', made: false },
  { policy: 'hold', outcome: 'done', made: true },
] as const

for (const { policy, outcome, made } of read) {
  t.test(`read: with --in-flight ${policy}, what the dead life had begun ends: ${outcome}`, async (t) => {
    const place = placeFor(t)
    const mirror = new StickyMirror(place, 'read', 'MKDIR')
    const managed = await Managed.serving(place, { daemon: mirror.daemon, options: optionsFor(policy) })
    const [reader, queued] = [new Application(place), new Application(place)]
    await reader.do('mkdirSync', `${place.mount}/one`)
    await queued.do('mkdirSync', `${place.mount}/two`)

    mirror.stick()
    const begun = reader.outcome('mkdirSync', `${place.mount}/one/begun`)
    await mirror.stuck()
    const behind = queued.outcome('mkdirSync', `${place.mount}/two/behind`)
    await managed.waiting(2)
    const from = managed.log.events.length
    process.kill(managed.daemon, 'SIGKILL')
    await managed.event('crashed', { from })
    mirror.loosen()
    await managed.event('revived', { from })

    t.equal(await begun, outcome, 'the request that was read')
    t.equal(await behind, 'done', 'the request that was queued behind it')
    t.equal(existsSync(`${place.source}/one/begun`), made)
    t.ok(existsSync(`${place.source}/two/behind`))
    await endsWell(t, managed)
  })
}

t.test('half answered: what is done and not answered is answered by the next life, and done once', async (t) => {
  const place = placeFor(t)
  const left = place.path('deaths-left')
  writeFileSync(left, '0')
  const managed = await Managed.serving(place, {
    daemon: moodyMirror(place, 'dies', left),
    options: optionsFor('resend'),
  })
  const application = new Application(place)
  await application.do('statSync', place.mount)
  for (const times of [1, 3]) {
    writeFileSync(left, `${times} executed MKDIR`)
    t.equal(await application.outcome('mkdirSync', `${place.mount}/made${times}`), 'done', `after ${times} deaths`)
    t.ok(existsSync(`${place.source}/made${times}`))
  }
  t.equal(managed.log.all('crashed').length, 4)
  await endsWell(t, managed)
})
