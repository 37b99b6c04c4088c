// T1: a replacement reads a request and dies before it is ready. The next one works, and the request that was eaten ends
// as the in-flight policy says.
import { existsSync, statSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed, moodyMirror, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'

const EATERS = 3

const rows = [
  { policy: 'resend', outcome: 'done', made: true },
  { policy: 'fail:EIO', outcome: 'EIO', made: false },
  // After the hold timeout, which bounds every pause, what was held comes again.
  { policy: 'hold', outcome: 'done', made: true, options: ['--hold-timeout', '3'] },
] as const

for (const { policy, outcome, made, ...rest } of rows) {
  t.test(`with --in-flight ${policy}, a request that ${EATERS} young lives have eaten ends: ${outcome}`, async (t) => {
    const place = placeFor(t)
    const left = place.path('left-to-eat')
    writeFileSync(left, String(EATERS))
    const managed = await Managed.serving(place, {
      daemon: moodyMirror(place, 'eats', left),
      options: [...unlimited, '--in-flight', policy, ...('options' in rest ? rest.options : [])],
    })
    const application = new Application(place)
    await application.do('statSync', place.mount)

    process.kill(managed.daemon, 'SIGSTOP')
    const result = application.outcome('mkdirSync', `${place.mount}/made`)
    await managed.waiting(1)
    const revived = await managed.crash()

    t.equal(revived.life, EATERS + 2, 'each young life counts')
    t.equal(managed.log.all('crashed').length, EATERS + 1, 'each death is told')
    t.equal(await result, outcome, 'the application gets its answer')
    t.equal(existsSync(`${place.source}/made`), made, 'and the folder is as the answer says')
    if (made) t.ok(statSync(`${place.source}/made`).isDirectory())
    await endsWell(t, managed)
  })
}
