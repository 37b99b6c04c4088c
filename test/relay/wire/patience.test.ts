// How long the relay looks for a message before it sleeps.
import t from 'tap'
import { Patience } from '../../../src/relay/wire/patience.js'

const MANY = 10_000

/** How many of so many turns were spent looking, if looking finds something in `share` of them. */
function looked(share: number): number {
  const patience = new Patience()
  let [turns, luck] = [0, 0]
  for (let i = 0; i < MANY; i++) {
    const rounds = patience.rounds()
    luck = (luck + share) % 1
    const isFound = luck < share
    if (rounds > 1) turns++
    patience.learn(rounds, rounds > 1 && isFound ? rounds - 1 : 0)
  }
  return turns / MANY
}

t.test('it looks as long as that mostly pays, and else seldom', async (t) => {
  t.equal(looked(1), 1)
  t.ok(looked(0.95) > 0.9, `found nearly always: ${looked(0.95)}`)
  t.ok(looked(0.5) < 0.3, `found every second time: ${looked(0.5)}`)
  t.ok(looked(0) < 0.005, `never found: ${looked(0)}`)
})

t.test('it tries again after a while', async (t) => {
  const patience = new Patience()
  for (let i = 0; i < MANY; i++) patience.learn(patience.rounds(), 0)
  let turns = 0
  for (let rounds = 1; rounds === 1; turns++) rounds = patience.rounds()
  t.ok(turns < 1100)
})
