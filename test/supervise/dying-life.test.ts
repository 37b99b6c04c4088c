// A life that is killed before it is grafted and waits on its own decoy, as go-fuse does when it starts: it opens a file of its
// own mount. The dying process closes that before its channel, or cannot even leave off opening it, and waits for itself.
import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { argvOf, startedAt } from '../../src/kernel/process.js'
import { arch } from '../../src/native/arch.js'
import { failedWith } from '../../src/native/error.js'
import { lockFile } from '../../src/native/process.js'
import { numberOf } from '../../src/native/syscall-numbers.js'
import type { Pid } from '../../src/native/types.js'
import { endsWell, nothingLeft, worksOn } from '../fixtures/after-all.js'
import { builtExample, noExamples } from '../fixtures/compiled.js'
import { until } from '../fixtures/deadline.js'
import { keepmount, Managed, unlimited } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { cannotGraft, stockDaemons } from '../fixtures/stock-daemons.js'

// They mostly wait.
t.jobs = 2

interface Record {
  readonly life: number
  readonly daemon: { readonly pid: Pid }
}
const recordOf = ({ state }: Place): Record => JSON.parse(readFileSync(join(state, 'it', 'state.json'), 'utf8'))
const isThere = (pid: Pid): boolean => startedAt(pid) !== null

t.test(
  'a life that is killed while it starts is followed by the next one',
  { skip: cannotGraft('gocryptfs'), timeout: 120_000, buffered: true },
  async (t) => {
    const place = placeFor(t)
    const { command, ends } = stockDaemons.gocryptfs
    const managed = await Managed.serving(place, {
      daemon: command(place),
      options: [...unlimited, '--revive', 'graft'],
    })
    writeFileSync(join(place.mount, 'file'), 'x')
    for (const delay of [0, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80]) {
      const { life } = recordOf(place)
      process.kill(managed.daemon, 'SIGKILL')
      const isNext = () => recordOf(place).life > life && /gocryptfs/.test(argvOf(recordOf(place).daemon.pid)[0] ?? '')
      await until(isNext, 'the next life', 20_000)
      const { pid } = recordOf(place).daemon
      await new Promise((resolve) => setTimeout(resolve, delay))
      process.kill(pid, 'SIGKILL')
      await until(() => !isThere(pid), `the end of a life that was killed after ${delay} ms`)
      const isRevived = () => managed.log.all('revived').some((event) => event.life === life + 2)
      await until(isRevived, `a life after one that was killed after ${delay} ms`, 20_000)
    }
    await worksOn(t, place)
    // With 0 if its loop ends before it has said so.
    const { code } = await managed.stop()
    t.ok(code === ends || code === 0, `keepmount ends as the daemon did: ${code}`)
    await nothingLeft(t, place)
  },
)

/** In which way a life waits for itself. */
const ways = {
  'has a file of its own mount open': {},
  'has sent itself a request': { OWN_LOCK: '1' },
}

/** A mount whose next life opens a file of it. */
class Scene {
  private readonly gate: string
  private readonly argv: readonly string[]
  readonly file: string

  constructor(
    readonly place: Place,
    private readonly way: NodeJS.ProcessEnv,
  ) {
    this.gate = place.path('gate')
    this.file = join(place.source, 'file')
    writeFileSync(this.file, 'x')
    // Each later life waits at the gate before it becomes the daemon.
    const wait = '[ ! -p "$1" ] || read x <"$1"; shift; exec "$@"'
    const program = builtExample('passthrough_ll', 'self-opener')
    this.argv = ['sh', '-c', wait, 'sh', this.gate, program, '-f', '-o', `flock,source=${place.source}`, place.mount]
  }

  async serve(): Promise<Managed> {
    const { place } = this
    const env = { ...this.way, OWN_FILE: join(place.mount, 'file'), OWN_FILE_IF: this.gate }
    return Managed.serving(place, { daemon: this.argv, env, options: [...unlimited, '--revive', 'graft'] })
  }

  /** Kills the daemon, and the next life when it waits for itself, before it can be grafted: the supervisor is stopped then. */
  async stuckLife(managed: Managed): Promise<Pid> {
    const { place, gate } = this
    spawnSync('mkfifo', [gate])
    const before = managed.daemon
    process.kill(before, 'SIGKILL')
    let writer = -1
    await until(() => {
      try {
        writer = openSync(gate, constants.O_WRONLY | constants.O_NONBLOCK)
        return true
      } catch (error) {
        if (failedWith(error, 'ENXIO')) return false
        throw error
      }
    }, 'a life at the gate')
    // It had the word before it was on record as the daemon.
    await until(() => recordOf(place).daemon.pid !== before, 'its record')
    const { pid } = recordOf(place).daemon
    process.kill(managed.pid, 'SIGSTOP')
    closeSync(writer)
    await until(
      () => hasOwnFile(pid, place) && (!this.way.OWN_LOCK || waitsForLock(pid)),
      'a life that uses its own mount',
    )
    process.kill(pid, 'SIGKILL')
    await until(() => statesOf(pid).every((state) => state === 'D' || state === 'Z'), 'one that waits for itself')
    rmSync(gate)
    return pid
  }
}

const hasOwnFile = (pid: Pid, place: Place): boolean =>
  readdirSync(`/proc/${pid}/fd`).some((fd) =>
    textOr(() => readlinkSync(`/proc/${pid}/fd/${fd}`)).startsWith(place.mount),
  )

const waitsForLock = (pid: Pid): boolean =>
  tasksOf(pid).some((tid) => {
    const [number] = textOr(() => readFileSync(`/proc/${pid}/task/${tid}/syscall`, 'utf8')).split(' ')
    return number === String(numberOf('flock', arch))
  })

const statesOf = (pid: Pid): string[] =>
  tasksOf(pid).map(
    (tid) => textOr(() => readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1')).split(') ')[1]?.[0] ?? 'Z',
  )

const tasksOf = (pid: Pid): string[] => readdirSync(`/proc/${pid}/task`)

/** Nothing of what has ended meanwhile. */
function textOr(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

for (const [way, env] of Object.entries(ways)) {
  const begin = async (t: Test): Promise<{ scene: Scene; managed: Managed }> => {
    const scene = new Scene(placeFor(t), env)
    const managed = await scene.serve()
    if ('OWN_LOCK' in env) {
      const lock = openSync(scene.file, 'r')
      t.teardown(() => closeSync(lock))
      t.equal(lockFile(lock), true)
    }
    return { scene, managed }
  }
  // Each test is given its own copy: tap keeps in it what is to be run later.
  const options = { skip: process.getuid?.() !== 0 ? 'needs root' : noExamples, timeout: 120_000, buffered: true }

  t.test(`a life that is killed when it ${way} is freed`, { ...options }, async (t) => {
    const { scene, managed } = await begin(t)
    // Which of its threads is the last one is a matter of chance.
    for (let time = 0; time < 5; time++) {
      const from = managed.log.events.length
      const pid = await scene.stuckLife(managed)
      process.kill(managed.pid, 'SIGCONT')
      await managed.event('revived', { from })
      await until(() => !isThere(pid), 'its end')
    }
    await endsWell(t, managed, 1)
  })

  t.test(
    `so is one that ${way} when its supervisor is killed, and another adopts the mount`,
    { ...options },
    async (t) => {
      let { scene, managed } = await begin(t)
      for (let time = 0; time < 3; time++) {
        const pid = await scene.stuckLife(managed)
        await managed.child.kill()
        managed = Managed.adopt(scene.place)
        await managed.event('revived')
        await until(() => !isThere(pid), 'its end')
      }
      await managed.stop()
      await nothingLeft(t, scene.place)
    },
  )

  for (const isSupervised of [true, false])
    t.test(
      `so is one that ${way} when the mount is stopped, supervised: ${isSupervised}`,
      { ...options },
      async (t) => {
        const { scene, managed } = await begin(t)
        const pid = await scene.stuckLife(managed)
        if (isSupervised) process.kill(managed.pid, 'SIGCONT')
        else await managed.child.kill()
        t.equal((await keepmount(scene.place, 'stop', 'it')).code, 0)
        await until(() => !isThere(pid), 'its end')
        await nothingLeft(t, scene.place)
      },
    )
}
