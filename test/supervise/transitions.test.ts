import t from 'tap'
import { actions } from '../../src/supervise/actions.js'
import { machineEvents, states, transitions } from '../../src/supervise/transitions.js'

t.test('each state says what each event means', async (t) => {
  for (const state of states) t.strictSame(Object.keys(transitions[state]).sort(), [...machineEvents].sort(), state)
})

t.test('each action is used, and each one used is there', async (t) => {
  const used = new Set(states.flatMap((state) => machineEvents.map((event) => transitions[state][event])))
  t.strictSame([...used].filter((cell) => cell !== null && cell !== 'impossible').sort(), Object.keys(actions).sort())
})

t.test('nothing happens after the end', async (t) =>
  t.ok(machineEvents.every((event) => transitions.ended[event] === null)),
)

t.test('whatever the state, being asked to stop is taken', async (t) => {
  for (const state of states.filter((name) => name !== 'ended'))
    t.match(String(transitions[state].stop_asked), /^(stop|end)$/, state)
})

t.test('a dead daemon is never passed over while the mount is to go on', async (t) => {
  for (const state of ['starting', 'proving', 'serving'] as const)
    t.match(String(transitions[state].daemon_exited), /^(orphan|fail_start)$/, state)
})
