// T1: a replacement reads a request and dies before it is ready. The next one works, and the request that was eaten ends
// as the in-flight policy says. Lives that are grafted die also before they mount, and while they answer for the first time.
import { statSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed, moodyMirror } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { grafted, mirrorfs, stillbornBy, type Way } from '../fixtures/ways.js'

// They mostly wait for processes to start.
t.jobs = 2

const policies = [
  { policy: 'resend', outcome: 'done', changed: true },
  { policy: 'fail:EIO', outcome: 'EIO', changed: false },
  // After the hold timeout, which bounds every pause, what was held comes again.
  { policy: 'hold', outcome: 'done', changed: true, more: ['--hold-timeout', '3'] },
] as const
type Policy = (typeof policies)[number]

const EATERS = 3
/** Modes of the folder that is to be changed. */
const [BEFORE, AFTER] = [0o700, 0o750]

for (const row of policies) {
  const name = `with --in-flight ${row.policy}, a request that ${EATERS} young lives have eaten ends: ${row.outcome}`
  t.test(name, { buffered: true }, async (t) => {
    const place = placeFor(t)
    const left = place.path('left-to-eat')
    writeFileSync(left, '0')
    const daemon = moodyMirror(place, 'eats', left)
    await eaten(t, place, mirrorfs, row, { daemon, deaths: EATERS, doom: () => writeFileSync(left, String(EATERS)) })
  })
}

/** Where further young lives die: before they mount, with the request in their hands, with it done, at the first answer. */
const STILLBORN = 2
const further = {
  resend: ['2 read SETATTR', '2 executed SETATTR', '1 read STATFS', '1 executed STATFS'],
  // The first is the one that eats it.
  'fail:EIO': ['1 read SETATTR', '1 read STATFS', '1 executed STATFS'],
  hold: ['1 read SETATTR', '1 read STATFS', '1 executed STATFS'],
} as const

// One request at a time, so that each death is one's own. What is resent comes in no order: a life may answer for the first
// time before it dies of the request that was asked before.
for (const way of grafted('bindfs-single-threaded', 'passthrough_ll-single-threaded')) {
  for (const row of policies) {
    const plan = further[row.policy]
    const deaths = STILLBORN + plan.map((line) => Number.parseInt(line, 10)).reduce((sum, count) => sum + count)
    const name = `${way.name}, by graft: with --in-flight ${row.policy}, a request that some of ${deaths} young lives have eaten ends: ${row.outcome}`
    t.test(name, { skip: way.skip, buffered: true }, async (t) => {
      const place = placeFor(t)
      const { daemon, doom, left } = await way.mortal(place)
      const stillborn = place.path('stillborn')
      writeFileSync(stillborn, '0\n')
      await eaten(t, place, way, row, {
        daemon: stillbornBy(stillborn, daemon),
        deaths,
        doom() {
          writeFileSync(stillborn, `${STILLBORN}\n`)
          doom(...plan)
        },
      })
      t.equal(left(), 0, 'each death was as planned')
    })
  }
}

interface Eaters {
  readonly daemon: readonly string[]
  /** How many lives die young. */
  readonly deaths: number
  readonly doom: () => void
}

async function eaten(t: Test, place: Place, way: Way, row: Policy, { daemon, deaths, doom }: Eaters): Promise<void> {
  const options = [...way.options, '--in-flight', row.policy, ...('more' in row ? row.more : [])]
  const managed = await Managed.serving(place, { daemon, options })
  const application = new Application(place)
  await application.do('chmodSync', place.mount, BEFORE)

  await managed.pause()
  doom()
  // It asks for nothing else first, and the root is the same in every life: there is nothing to wait for.
  const result = application.outcome('chmodSync', place.mount, AFTER)
  await managed.waiting(1)
  process.kill(managed.daemon, 'SIGKILL')
  await managed.event('revived', { where: ({ life }) => life === deaths + 2 })

  t.equal(managed.log.all('crashed').length, deaths + 1, 'each death is told')
  t.equal(await result, row.outcome, 'the application gets its answer')
  t.equal(statSync(place.source).mode & 0o777, row.changed ? AFTER : BEFORE, 'and the folder is as the answer says')
  await endsWell(t, managed, way.ends)
}
