// T2: a kill with requests queued, read and half answered. What each ends with, and that none waits afterwards.
import { existsSync } from 'node:fs'
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { grafted, mirrorfs, type Way } from '../fixtures/ways.js'

// They mostly wait for processes to start.
t.jobs = 2

const policies = ['resend', 'fail:EIO', 'hold'] as const
type Policy = (typeof policies)[number]
/** Requests that are held come again when the longest pause is over. */
const HOLD_SEC = 2
const optionsFor = (way: Way, policy: Policy) => [
  ...way.options,
  ...['--in-flight', policy],
  ...(policy === 'hold' ? ['--hold-timeout', String(HOLD_SEC)] : []),
]

/** They take one request at a time: what comes meanwhile is queued. */
const ways = [mirrorfs, ...grafted('bindfs-single-threaded', 'passthrough_ll-single-threaded')]
const all = ways.flatMap((way) => policies.map((policy) => ({ way, policy })))
const title = (way: Way, what: string) => `${way.name}, by ${way.revive}: ${what}`

for (const { way, policy } of all) {
  const name = title(way, `queued: with --in-flight ${policy}, what no life had read is answered by the next one`)
  t.test(name, { skip: way.skip, buffered: true }, async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, { daemon: way.daemon(place), options: optionsFor(way, policy) })
    // Each in a folder of its own: the kernel asks for one change of a folder at a time.
    const applications = Array.from({ length: 6 }, () => new Application(place))
    await Promise.all(applications.map((application, i) => application.do('mkdirSync', `${place.mount}/${i}`)))

    await managed.pause()
    const results = applications.map((application, i) => application.outcome('mkdirSync', `${place.mount}/${i}/queued`))
    await managed.waiting(applications.length)
    await managed.crash()

    t.same(await Promise.all(results), ['done', 'done', 'done', 'done', 'done', 'done'])
    await endsWell(t, managed, way.ends)
  })
}

const read = {
  resend: { outcome: 'done', made: true },
  'fail:EIO': { outcome: 'EIO', made: false },
  hold: { outcome: 'done', made: true },
} as const

for (const { way, policy } of all) {
  const { outcome, made } = read[policy]
  const name = title(way, `read: with --in-flight ${policy}, what the dead life had begun ends: ${outcome}`)
  t.test(name, { skip: way.skip, buffered: true }, async (t) => {
    const place = placeFor(t)
    const sticky = await way.sticky(place, 'MKDIR')
    const managed = await Managed.serving(place, { daemon: sticky.daemon, options: optionsFor(way, policy) })
    const [reader, queued] = [new Application(place), new Application(place)]
    await reader.do('mkdirSync', `${place.mount}/one`)
    await queued.do('mkdirSync', `${place.mount}/two`)

    sticky.stick()
    const begun = reader.outcome('mkdirSync', `${place.mount}/one/begun`)
    await sticky.stuck()
    const behind = queued.outcome('mkdirSync', `${place.mount}/two/behind`)
    await managed.waiting(2)
    const from = managed.log.events.length
    const killed = performance.now()
    await sticky.kill(managed)
    sticky.loosen()
    await managed.event('revived', { from })

    t.equal(await begun, outcome, 'the request that was read')
    if (policy === 'hold')
      t.ok(performance.now() - killed >= HOLD_SEC * 1000, 'and not before the longest pause is over')
    t.equal(await behind, 'done', 'the request that was queued behind it')
    t.equal(existsSync(`${place.source}/one/begun`), made)
    t.ok(existsSync(`${place.source}/two/behind`))
    await endsWell(t, managed, way.ends)
  })
}

for (const way of ways) {
  const name = title(way, 'half answered: what is done and not answered is answered by the next life, and done once')
  t.test(name, { skip: way.skip, buffered: true }, async (t) => {
    const place = placeFor(t)
    const { daemon, doom, left } = await way.mortal(place)
    const managed = await Managed.serving(place, { daemon, options: optionsFor(way, 'resend') })
    const application = new Application(place)
    await application.do('statSync', place.mount)
    // A stock daemon does not try again what is done: it is asked for the folder that is there.
    const plans = [['1 executed MKDIR'], ['2 read MKDIR', '1 executed MKDIR']]
    for (const [i, plan] of plans.entries()) {
      doom(...plan)
      t.equal(await application.outcome('mkdirSync', `${place.mount}/made${i}`), 'done', `after ${plan.join(', ')}`)
      t.equal(left(), 0, 'it died as planned')
      t.ok(existsSync(`${place.source}/made${i}`))
    }
    t.equal(managed.log.all('crashed').length, 4)
    await endsWell(t, managed, way.ends)
  })
}
