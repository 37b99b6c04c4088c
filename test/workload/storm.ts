// The kill storm: all applications at once on a managed mount whose daemon is killed again and again at random moments,
// some just after a revival, some in the midst of one. Afterwards it judges what the applications saw and what is left.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as pass } from 'node:timers/promises'
import { waitingRequests } from '../../src/kernel/connection.js'
import { failedWith } from '../../src/native/error.js'
import type { ReviveMode } from '../../src/supervise/options.js'
import { Child } from '../fixtures/child.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { Place } from '../fixtures/place.js'
import { mirrorCommand } from '../fixtures/project.js'
import type { StockDaemon } from '../fixtures/stock-daemons.js'
import { Crowd, type CrowdMember, uploaders } from './crowd.js'
import { Random } from './random.js'
import { median, quantile, rounded } from './statistics.js'
import type { WorkloadResult } from './workload.js'

export interface StormOptions {
  /** Ends after so many kills of the daemon, or so many minutes, whichever comes first. */
  readonly kills: number
  readonly minutes: number
  readonly seed: number
  /** Without it, the mirror. */
  readonly daemon?: StockDaemon
  /** How the daemon is revived; `inherit` is for the mirror alone. */
  readonly revive?: ReviveMode
  /** Who else is killed now and then. */
  readonly also: readonly ('holder' | 'supervisor')[]
  readonly members?: readonly CrowdMember[]
  readonly progress?: (text: string) => void
}

export interface StormReport {
  readonly seed: number
  readonly seconds: number
  readonly kills: { readonly daemon: number; readonly holder: number; readonly supervisor: number }
  readonly lives: number
  readonly pause_ms: { readonly median: number; readonly p99: number; readonly max: number }
  readonly applications: readonly WorkloadResult[]
  readonly supervisor_rss_kb: { readonly start: number; readonly end: number }
  /** What the applications met with when nobody killed the daemon: its own ways. */
  readonly own: readonly string[]
  /** What they met with because the daemon had died between two steps: its own ways as well, with the reasons. */
  readonly halfDone: readonly string[]
  /** Why the storm is lost; empty if it was weathered. */
  readonly problems: readonly string[]
}

/** Longer than any revival on a busy machine; a mount that is not back by then is lost. */
const REVIVAL_DEADLINE_MS = 30_000
const LONGEST_CALM_MS = 300
/** Long enough for all steps of all applications. */
const BASELINE_MS = 3000

export async function storm(options: StormOptions): Promise<StormReport> {
  const place = new Place()
  try {
    return await new Storm(place, options).run()
  } finally {
    await place.clean()
  }
}

/** What the applications meet with on a mount of the bare daemon, without kills: `member: kind`. */
async function ownKinds(daemon: StockDaemon, members: readonly CrowdMember[] | undefined): Promise<Set<string>> {
  const rare = Object.keys(daemon.rarely ?? {})
  const place = new Place()
  try {
    const child = new Child(daemon.command(place), { env: place.env, cwd: '/', stdio: 'ignore' })
    place.undo(() => child.kill())
    await place.mounted()
    const crowd = new Crowd(place, members, daemon.beneath(place))
    await crowd.ready()
    await pass(BASELINE_MS)
    const applications = await crowd.finish()
    const seen = applications.flatMap(({ name, kinds }) => Object.keys(kinds).map((kind) => `${name}: ${kind}`))
    return new Set([...rare, ...seen])
  } finally {
    await place.clean()
  }
}

class Storm {
  private readonly random: Random
  private readonly kills = { daemon: 0, holder: 0, supervisor: 0 }
  /** Their pids; one that is given to another process meanwhile does not matter within a storm. */
  private readonly killed = new Set<number>()
  private readonly pauses: number[] = []
  private readonly problems: string[] = []
  private managed: Managed
  private connection = 0

  constructor(
    private readonly place: Place,
    private readonly options: StormOptions,
  ) {
    this.random = new Random(options.seed)
    this.managed = this.start()
  }

  async run(): Promise<StormReport> {
    const { progress = () => undefined, minutes, seed } = this.options
    const mounted = await this.managed.event('mounted')
    this.connection = mounted.connection
    const { daemon } = this.options
    const members = this.options.members ?? (daemon?.unwritten === undefined ? undefined : uploaders)
    const own = daemon ? await ownKinds(daemon, members) : new Set<string>()
    const crowd = new Crowd(this.place, members, daemon ? daemon.beneath(this.place) : this.place.source)
    await crowd.ready()
    const started = performance.now()
    // What is opened once and for all, as fusectl, is opened by the first crash.
    await this.killDaemon()
    const before = this.look()

    let told = started
    try {
      while (this.kills.daemon < this.options.kills && performance.now() - started < minutes * 60_000) {
        await this.strike()
        if (performance.now() - told < 1000) continue
        told = performance.now()
        const { daemon, holder, supervisor } = this.kills
        progress(`${daemon} kills of the daemon, ${holder} of holders, ${supervisor} of the supervisor`)
      }
    } catch (error) {
      this.problem(`after ${this.kills.daemon} kills: ${error instanceof Error ? error.message : String(error)}`)
    }
    progress('the applications look at what they have made')
    const applications = await crowd.finish()
    const seconds = rounded((performance.now() - started) / 1000)
    const { halves = {} } = daemon ?? {}
    const halfDone: string[] = []
    for (const { name, kinds } of applications)
      for (const [kind, count] of Object.entries(kinds))
        if (halves[`${name}: ${kind}`] !== undefined)
          halfDone.push(`${count} times ${name}: ${kind} (${halves[`${name}: ${kind}`]})`)
        else if (!own.has(`${name}: ${kind}`)) this.problem(`${name}: ${count} times ${kind}`)
    const after = await this.settled(before)
    const lives = this.managed.life
    await this.end()
    return {
      seed,
      seconds,
      kills: { ...this.kills },
      lives,
      pause_ms: { median: median(this.pauses), p99: quantile(this.pauses, 0.99), max: Math.max(...this.pauses) },
      applications,
      own: [...own],
      halfDone,
      supervisor_rss_kb: { start: before.rss, end: after.rss },
      problems: this.problems,
    }
  }

  private start(): Managed {
    const { daemon } = this.options
    const { source, mount } = this.place
    const argv = daemon ? daemon.command(this.place) : mirrorCommand(source, mount)
    const revive = this.options.revive ?? (this.options.daemon ? 'graft' : 'inherit')
    return Managed.run(this.place, { daemon: argv, options: [...unlimited, '--revive', revive], cwd: process.cwd() })
  }

  /** One blow, of a random kind. */
  private async strike(): Promise<void> {
    const { also } = this.options
    // A third follows the last revival at once.
    if (this.random.chance(0.66)) await pass(this.random.next() * LONGEST_CALM_MS)
    if (also.includes('supervisor') && this.random.chance(0.1)) return this.killSupervisor()
    if (also.includes('holder') && this.random.chance(0.25)) await this.killHolder()
    await this.killDaemon()
  }

  private async killDaemon(): Promise<void> {
    const from = this.managed.log.events.length
    this.kill(this.managed.daemon, 'daemon')
    // A quarter of the lives die young, some of them more than once.
    while (this.kills.daemon < this.options.kills && this.random.chance(0.25)) {
      await pass(this.random.next() * 1.2 * (this.pauses.length > 0 ? median(this.pauses) : 100))
      const young = this.youngDaemon()
      if (young !== null) this.kill(young, 'daemon')
    }
    await this.revival(from)
  }

  private async killHolder(): Promise<void> {
    const from = this.managed.log.events.length
    const pid = this.random.pick(this.managed.holders)
    if (pid === undefined || !this.kill(pid, 'holder')) return
    // Half of the time the daemon dies before the holder is replaced.
    if (this.random.chance(0.5)) return
    await this.managed.event('holder_replaced', { from, deadline: REVIVAL_DEADLINE_MS })
  }

  /** Kills the supervisor, half of the time with the daemon, and runs the same command again. */
  private async killSupervisor(): Promise<void> {
    const { daemon } = this.managed
    this.kill(this.managed.pid, 'supervisor')
    const withDaemon = this.random.chance(0.5)
    if (withDaemon) this.kill(daemon, 'daemon')
    await this.managed.child.end()
    this.managed = this.start()
    await this.managed.event('adopted', { deadline: REVIVAL_DEADLINE_MS })
    if (withDaemon) await this.revival(0)
  }

  /** Waits for a life that was not killed too. */
  private async revival(from: number): Promise<void> {
    const { downtime_ms } = await this.managed.event('revived', {
      from,
      where: ({ daemon_pid }) => !this.killed.has(daemon_pid),
      deadline: REVIVAL_DEADLINE_MS,
    })
    this.pauses.push(downtime_ms)
  }

  private kill(pid: number, who: keyof typeof this.kills): boolean {
    // One that is dead and not reaped yet still takes a signal, but that is no second death.
    if (this.killed.has(pid)) return false
    try {
      process.kill(pid, 'SIGKILL')
      this.kills[who]++
      this.killed.add(pid)
      return true
    } catch (error) {
      if (failedWith(error, 'ESRCH')) return false
      throw error
    }
  }

  /** The daemon of a life that has not answered yet: no event tells of it, the supervisor's record does. */
  private youngDaemon(): number | null {
    const record = JSON.parse(readFileSync(`${this.place.state}/it/state.json`, 'utf8')) as {
      daemon: { pid: number } | null
    }
    return record.daemon?.pid ?? null
  }

  /** What must not grow. */
  private look() {
    const { pid, holders } = this.managed
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return {
      waiting: waitingRequests(this.connection),
      rss: Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]),
      threads: Number(/^Threads:\s*(\d+)/m.exec(status)?.[1]),
      supervisorFds: readdirSync(`/proc/${pid}/fd`).length,
      holderFds: holders.map((holder) => readdirSync(`/proc/${holder}/fd`).length).join(),
    }
  }

  /** Looks again until all is as it was, for a few seconds: files that are closed are released later. */
  private async settled(before: ReturnType<typeof this.look>) {
    const expected = { ...before, waiting: 0 }
    const differences = (now: typeof before): string[] =>
      (['waiting', 'threads', 'supervisorFds', 'holderFds'] as const)
        // A supervisor that took the mount up has opened less than the one that started it.
        .filter((what) => (what === 'supervisorFds' ? now[what] > expected[what] : now[what] !== expected[what]))
        .map((what) => `${what}: ${now[what]} instead of ${expected[what]}`)
    let now = this.look()
    for (let i = 0; i < 50 && differences(now).length > 0; i++) {
      await pass(100)
      now = this.look()
    }
    for (const difference of differences(now)) this.problem(difference)
    return now
  }

  private async end(): Promise<void> {
    const { code, signal } = await this.managed.stop()
    if (signal !== null || code === 125)
      this.problem(`keepmount ended with ${signal ?? code}: ${this.managed.child.stderr}`)
    for (const left of await this.place.left()) this.problem(`left behind: ${left}`)
  }

  private problem(text: string): void {
    this.problems.push(text)
    this.options.progress?.(`PROBLEM: ${text}`)
  }
}
