import t from 'tap'
import { paint } from '../../../src/cli/output/paint.js'
import { eventText, giveUps } from '../../../src/cli/view/event-text.js'
import { eventLines } from '../../../src/cli/view/live-view.js'
import { Tally } from '../../../src/cli/view/tally.js'
import type { EventName, MountEvent } from '../../../src/supervise/events.js'

const common = { time: '2030-01-02T03:04:05.678Z', name: 'data', mountpoint: '/mnt/data', life: 2 }
const plain = paint(false, {})

const rows: [event: MountEvent, text: RegExp][] = [
  [
    { ...common, event: 'mounted', device: '0:44', connection: 44, daemon_pid: 7, start_ms: 35.21 },
    /mounted .*\/mnt\/data by daemon 7 after 35\.2 ms; managed as data \(device 0:44\)/,
  ],
  [{ ...common, event: 'held', holders: [8, 9], channels: 1 }, /held .*1 channel in 2 holders \(8, 9\)/],
  [{ ...common, event: 'held', holders: [8], channels: 3 }, /3 channels in 1 holder \(8\)/],
  [
    { ...common, event: 'crashed', daemon_pid: 7, code: null, signal: 'SIGKILL', restart_in_ms: 0 },
    /crashed .*life 2, daemon 7: was ended by SIGKILL; starting it again$/m,
  ],
  [
    { ...common, event: 'crashed', daemon_pid: 7, code: 3, signal: null, restart_in_ms: 1500 },
    /exited with code 3; starting it again in 1\.5 s/,
  ],
  [
    { ...common, event: 'crashed', daemon_pid: 0, code: null, signal: null, restart_in_ms: null },
    /life 2: ended; it will not be started again/,
  ],
  [
    { ...common, event: 'revived', daemon_pid: 9, downtime_ms: 12.34, resent: true, in_flight: 'resend' },
    /revived .*life 2, daemon 9, after a pause of 12\.3 ms; unanswered requests were sent again/,
  ],
  [
    { ...common, event: 'revived', daemon_pid: 9, downtime_ms: 1, resent: false, in_flight: 'fail:EINTR' },
    /unanswered requests ended with EINTR/,
  ],
  [{ ...common, event: 'revived', daemon_pid: 9, downtime_ms: 1, resent: false, in_flight: 'hold' }, /still wait/],
  [{ ...common, event: 'revived', daemon_pid: 9, downtime_ms: 1, resent: false, in_flight: 'none' }, /mounted anew/],
  [{ ...common, event: 'noted', what: 'unknown opcode', facts: { opcode: 77 } }, /noted {6}unknown opcode, opcode 77/],
  [{ ...common, event: 'holder_replaced', dead_pid: 8, holder_pid: 10 }, /8 died, 10 holds the channel now/],
  [
    { ...common, event: 'adopted', daemon_pid: 7, holders: [8, 9], previous_supervisor: 5 },
    /adopted .*\/mnt\/data from the dead keepmount process 5; daemon 7 serves; 2 holders \(8, 9\)/,
  ],
  [
    { ...common, event: 'adopted', mountpoint: null, daemon_pid: null, holders: [], previous_supervisor: 5 },
    /data from .*; its daemon is dead too; 0 holders/,
  ],
  [
    { ...common, event: 'gave_up', reason: 'start-limit', detail: '6 in 10 s', action: 'abort' },
    /gave up .*died too often: 6 in 10 s\n +→ .*--start-limit-burst.*\n +.*umount -l \/mnt\/data/,
  ],
  [{ ...common, event: 'gave_up', reason: 'hold-timeout', detail: '', action: 'umount' }, /may\n.*\n.*is unmounted/],
  [{ ...common, event: 'unmounted', reason: 'unmounted' }, /unmounted {2}\/mnt\/data, from outside/],
  [{ ...common, event: 'unmounted', reason: 'aborted' }, /aborted by somebody/],
  [
    { ...common, event: 'stopped', code: 0, signal: null, exit: 0 },
    /stopped .*the daemon exited with code 0; exit code 0/,
  ],
  [
    { ...common, event: 'healed', daemon_pid: 12, heal_ms: 230, stop_us: 400 },
    /healed {5}daemon 12 is back on the channel itself, 230 ms/,
  ],
  [
    { ...common, event: 'relayed', daemon_pid: 12, reason: 'unseen', pins: [] },
    /relayed {4}daemon 12 stays behind the relay: somebody uses/,
  ],
  [{ ...common, event: 'stopped', code: null, signal: 'SIGTERM', exit: 143 }, /ended by SIGTERM; exit code 143/],
  [{ ...common, event: 'stopped', code: null, signal: null, exit: 125 }, /stopped {4}exit code 125/],
]

for (const [event, text] of rows) {
  t.test(`says of ${event.event}: ${text.source.slice(0, 60)}`, async (t) => {
    t.match(eventLines(event, plain), text)
    t.match(eventLines(event, plain), /^\d\d:\d\d:05\.678 \S /)
    t.notMatch(eventLines(event, plain), /undefined|null|NaN/)
  })
}

t.test('every event has its text', async (t) => {
  const names: Record<EventName, true> = {
    mounted: true,
    held: true,
    crashed: true,
    revived: true,
    healed: true,
    relayed: true,
    noted: true,
    holder_replaced: true,
    adopted: true,
    gave_up: true,
    unmounted: true,
    stopped: true,
  }
  t.same(new Set(rows.map(([{ event }]) => event)), new Set(Object.keys(names)))
})

for (const [reason, { text, remedy }] of Object.entries(giveUps)) {
  t.test(`giving up for ${reason} says why and what to do`, async (t) => {
    t.ok(text.length > 10 && remedy.length > 10)
  })
}

t.test('colours only where they are wanted', async (t) => {
  const { red } = paint(true, {})
  t.equal(red('x'), '\u001b[31mx\u001b[39m')
  for (const [isTerminal, env] of [
    [false, {}],
    [true, { NO_COLOR: '1' }],
    [true, { TERM: 'dumb' }],
    [false, { FORCE_COLOR: '0' }],
    [true, { NO_COLOR: '1', FORCE_COLOR: '1' }],
  ] as const) {
    t.equal(paint(isTerminal, env).red('x'), 'x', JSON.stringify([isTerminal, env]))
  }
  t.equal(paint(false, { FORCE_COLOR: '1' }).red('x'), red('x'))
  t.equal(paint(true, { NO_COLOR: '' }).red('x'), red('x'))
})

t.test('the sum counts crashes, lives and pauses', async (t) => {
  const tally = new Tally()
  for (const [event] of rows) tally.add(event)
  t.match(tally, { crashes: 3, lives: 6, pauseMs: 15.34, longestMs: 12.34 })
})

t.test('a symbol and a colour belong to every event', async (t) => {
  for (const [event] of rows) t.ok(eventText(event).symbol.length === 1 && eventText(event).colour)
})
