// The oracle on a managed mount: without kills, and while its daemon is killed again and again.
import t from 'tap'
import { findingText } from '../../src/oracle/index.js'
import { endsWell } from '../fixtures/after-all.js'
import { placeFor } from '../fixtures/place.js'
import { underKills } from './under-kills.js'

t.setTimeout(120_000)

t.test('the mirror is clean without kills, and under 20 of them', async (t) => {
  const place = placeFor(t)
  const { baseline, verdict, pauses, problems, managed } = await underKills(place, {
    seed: 51,
    operations: 400,
    kills: 20,
    calm: 100,
    beneath: place.source,
  })
  t.same(baseline.findings.map(findingText), [], 'clean without kills')
  t.same(baseline.left, [], 'the mirror can do everything')
  t.same(verdict?.findings.map(findingText), [], 'clean with kills')
  t.equal(pauses.length, 20)
  t.same(problems, [])
  await endsWell(t, managed)
})
