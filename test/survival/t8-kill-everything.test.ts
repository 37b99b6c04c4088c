// T8: every process, and several at once, killed at every step. If keepmount itself is among them, the same command is
// run again. What is expected of each row stands in the table.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { argvOf } from '../../src/kernel/process.js'
import type { Pid } from '../../src/native/types.js'
import type { MountRecord } from '../../src/state/record.js'
import { nothingLeft, worksOn } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { runToEnd } from '../fixtures/child.js'
import { until } from '../fixtures/deadline.js'
import { Managed, moodyMirror, type StartOptions } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'

// They mostly wait for processes to start.
t.jobs = 2

const victims = ['supervisor', 'holder', 'other holder', 'daemon'] as const
type Victim = (typeof victims)[number]
type Step = 'starting' | 'serving' | 'orphaned' | 'proving'

/**
 * serves    the mount serves, and an application that had a file open writes on
 * fails     keepmount says that the daemon ended without mounting, and leaves nothing
 * gives up  the channel is lost: keepmount says so and leaves a mount that answers ENOTCONN
 */
type Outcome = 'serves' | 'fails' | 'gives up'

const no = null // there is no daemon to kill

const table: readonly [killed: readonly Victim[], Record<Step, Outcome | null>][] = [
  [['supervisor'], { starting: 'serves', serving: 'serves', orphaned: 'serves', proving: 'serves' }],
  [['holder'], { starting: 'serves', serving: 'serves', orphaned: 'serves', proving: 'serves' }],
  [['other holder'], { starting: 'serves', serving: 'serves', orphaned: 'serves', proving: 'serves' }],
  [['daemon'], { starting: 'fails', serving: 'serves', orphaned: no, proving: 'serves' }],
  [['supervisor', 'holder'], { starting: 'serves', serving: 'serves', orphaned: 'serves', proving: 'serves' }],
  [['supervisor', 'daemon'], { starting: 'serves', serving: 'serves', orphaned: no, proving: 'serves' }],
  [['holder', 'daemon'], { starting: 'fails', serving: 'serves', orphaned: no, proving: 'serves' }],
  [['other holder', 'daemon'], { starting: 'fails', serving: 'serves', orphaned: no, proving: 'serves' }],
  [['holder', 'other holder'], { starting: 'serves', serving: 'serves', orphaned: 'gives up', proving: 'serves' }],
  [['supervisor', 'holder', 'daemon'], { starting: 'serves', serving: 'serves', orphaned: no, proving: 'serves' }],
  [
    ['supervisor', 'holder', 'other holder'],
    { starting: 'serves', serving: 'serves', orphaned: 'gives up', proving: 'serves' },
  ],
  [['holder', 'other holder', 'daemon'], { starting: 'fails', serving: 'gives up', orphaned: no, proving: 'gives up' }],
]

/** The first restart is immediate, the second takes a second. */
const options = ['--restart-sec', '1', '--start-limit-burst', '100'] as const

interface Scene {
  readonly managed: Managed
  readonly start: StartOptions
  /** Lets a daemon that is held at this step go on. */
  readonly go: () => void
}

const steps: Record<Step, (place: Place) => Promise<Scene>> = {
  async starting(place) {
    const gate = place.path('gate')
    const start = { daemon: moodyMirror(place, 'late', gate), options }
    const managed = Managed.run(place, start)
    await until(() => isRunning(recordOf(place)), 'a daemon on record')
    return { managed, start, go: () => writeFileSync(gate, '') }
  },
  async serving(place) {
    const start = { options }
    return { managed: await Managed.serving(place, start), start, go: () => undefined }
  },
  async orphaned(place) {
    const start = { options }
    const managed = await Managed.serving(place, start)
    await managed.crash()
    const from = managed.log.events.length
    process.kill(managed.daemon, 'SIGKILL')
    await managed.event('crashed', { from })
    return { managed, start, go: () => undefined }
  },
  async proving(place) {
    const gate = place.path('gate')
    const start = { daemon: moodyMirror(place, 'waits', gate), options }
    const managed = await Managed.serving(place, start)
    process.kill(managed.daemon, 'SIGKILL')
    await until(() => recordOf(place)?.life === 2 && isRunning(recordOf(place)), 'a second life on record')
    return { managed, start, go: () => writeFileSync(gate, '') }
  },
}

for (const step of Object.keys(steps) as Step[]) {
  for (const [killed, outcomes] of table) {
    const outcome = outcomes[step]
    if (outcome === null) continue
    t.test(`${killed.join(' and ')} killed while ${step}: ${outcome}`, { buffered: true }, async (t) => {
      const place = placeFor(t)
      const writer = new Application(place)
      const { managed, start, go } = await steps[step](place)
      if (outcome === 'serves' && step === 'serving')
        await writer.do('writeFileSync', join(place.mount, 'log'), 'before,')
      const fd = step === 'serving' ? await writer.do('openSync', join(place.mount, 'log'), 'a') : null

      const record = recordOf(place)
      // All at once: it must not see one of them dead and mend that before we come to kill the next.
      await managed.suspend()
      for (const victim of killed) kill(victim, managed, record)
      managed.resume()
      const heir = killed.includes('supervisor') ? await runAgain(managed, start) : managed
      go()
      await check[outcome](t, heir)
      if (fd !== null && outcome === 'serves') {
        await writer.do('writeSync', fd, 'after')
        t.equal(readFileSync(join(place.source, 'log'), 'utf8'), 'before,after', 'an open file goes on')
      }
      if (outcome === 'serves' && step === 'serving' && heir !== managed && killed.includes('daemon'))
        t.match(await heir.event('crashed'), { daemon_pid: record?.daemon?.pid }, 'and it is told who had died')
      if (outcome === 'serves') {
        await heir.stop()
        await nothingLeft(t, place)
      }
    })
  }
}

const check: Record<Outcome, (t: Test, managed: Managed) => Promise<void>> = {
  async serves(t, managed) {
    const serves = () => {
      const record = recordOf(managed.place)
      return record?.state === 'serving' && record.supervisor.pid === managed.pid
    }
    await until(serves, 'a mount that serves', 20_000)
    await worksOn(t, managed.place)
    await until(() => recordOf(managed.place)?.holders.length === 2, 'two holders')
  },
  async fails(t, managed) {
    t.same(await managed.child.end(), { code: 137, signal: null }, 'it ends as the daemon did')
    t.match(managed.child.stderr, /before it had mounted anything/)
    await nothingLeft(t, managed.place)
  },
  async 'gives up'(t, managed) {
    const { code } = await managed.child.end()
    t.ok(code !== null && code > 0, `it ends with ${code}`)
    const { reason } = await managed.event('gave_up')
    t.equal(reason, 'channel-lost')
    t.equal((await runToEnd(['umount', '-l', managed.place.mount])).code, 0)
    await nothingLeft(t, managed.place)
  },
}

function kill(victim: Victim, managed: Managed, record: MountRecord | null): void {
  const pids: Record<Victim, number | undefined> = {
    supervisor: managed.pid,
    holder: record?.holders[0]?.pid,
    'other holder': record?.holders[1]?.pid,
    daemon: record?.daemon?.pid,
  }
  const pid = pids[victim]
  if (pid === undefined) throw new Error(`there is no ${victim}`)
  managed.place.knowProcess(pid)
  process.kill(pid, 'SIGKILL')
}

async function runAgain(managed: Managed, start: StartOptions): Promise<Managed> {
  await managed.child.end()
  return Managed.run(managed.place, start)
}

/** A daemon goes on record before it is let go; until then it ends with keepmount. */
function isRunning(record: MountRecord | null): boolean {
  const [name] = record?.daemon ? argvOf(record.daemon.pid as Pid) : []
  return name !== undefined && name !== 'keepmount-launcher'
}

/** What keepmount has written down: the only place that tells of a life that has not answered yet. */
function recordOf(place: Place): MountRecord | null {
  try {
    return JSON.parse(readFileSync(join(place.state, 'it/state.json'), 'utf8')) as MountRecord
  } catch {
    return null
  }
}
