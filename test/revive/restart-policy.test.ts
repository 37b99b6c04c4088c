import t from 'tap'
import type { Exit } from '../../src/native/process.js'
import { restartDelayMs, restarts, StartLimit } from '../../src/revive/restart-policy.js'
import { restartPolicies } from '../../src/supervise/options.js'

// The table of systemd.service(5), Restart=; columns in the order of restartPolicies.
const endings: readonly [string, Exit, ...boolean[]][] = [
  ['exit 0', { code: 0, signal: null }, false, true, false, false, false, true],
  ['SIGTERM', { code: null, signal: 15 }, false, true, false, false, false, true],
  ['SIGHUP', { code: null, signal: 1 }, false, true, false, false, false, true],
  ['SIGINT', { code: null, signal: 2 }, false, true, false, false, false, true],
  ['SIGPIPE', { code: null, signal: 13 }, false, true, false, false, false, true],
  ['exit 1', { code: 1, signal: null }, false, false, true, false, false, true],
  ['SIGKILL', { code: null, signal: 9 }, false, false, true, true, true, true],
  ['SIGSEGV', { code: null, signal: 11 }, false, false, true, true, true, true],
  ['an unknown end', { code: null, signal: null }, false, false, true, false, false, true],
]

for (const [name, exit, ...expected] of endings)
  for (const [i, policy] of restartPolicies.entries())
    t.test(`--restart ${policy} after ${name}: ${expected[i] ? 'restarted' : 'not restarted'}`, async (t) =>
      t.equal(restarts(policy, exit), expected[i]),
    )

const delays = [
  { what: 'the first restart is immediate', nth: 1, options: [0.1, 0, 30], ms: 0 },
  { what: 'without steps every later one waits RestartSec', nth: 7, options: [0.1, 0, 30], ms: 100 },
  { what: 'with steps the second waits RestartSec', nth: 2, options: [1, 3, 8], ms: 1000 },
  { what: 'a step later it is longer by the same factor', nth: 3, options: [1, 3, 8], ms: 2000 },
  { what: 'and longer', nth: 4, options: [1, 3, 8], ms: 4000 },
  { what: 'after all steps it is RestartMaxDelaySec', nth: 5, options: [1, 3, 8], ms: 8000 },
  { what: 'and stays there', nth: 99, options: [1, 3, 8], ms: 8000 },
  { what: 'no RestartSec, no delay', nth: 9, options: [0, 5, 30], ms: 0 },
] as const

for (const { what, nth, options, ms } of delays)
  t.test(what, async (t) => {
    const [restartSec, restartSteps, restartMaxDelaySec] = options
    t.equal(Math.round(restartDelayMs(nth, { restartSec, restartSteps, restartMaxDelaySec })), ms)
  })

t.test('the start limit counts the starts of the interval', async (t) => {
  const limit = new StartLimit(2, 10)
  t.equal(limit.allows(0), true)
  t.equal(limit.allows(1000), true)
  t.equal(limit.allows(9999), false, 'a third within ten seconds')
  t.equal(limit.allows(10_000), true, 'the first is past')
  t.equal(limit.allows(10_999), false)
})

t.test('an interval of 0 is no limit', async (t) => {
  const limit = new StartLimit(1, 0)
  t.ok([1, 2, 3, 4].every((now) => limit.allows(now)))
})
