// scripts/demo: the mount of a stock daemon, bindfs, that is killed five times with kill -9 while two applications work on
// it; of mirrorfs, where bindfs cannot be had. It runs the commands that a user would run and shows them, and takes
// everything away in the end, also when it is interrupted.
import { symlinkSync } from 'node:fs'
import { constants } from 'node:os'
import { setTimeout as pass } from 'node:timers/promises'
import { paint } from '../src/cli/output/paint.js'
import { duration } from '../src/cli/view/duration.js'
import { Worker } from '../test/demo/worker.js'
import { Child, runToEnd } from '../test/fixtures/child.js'
import { within } from '../test/fixtures/deadline.js'
import { EventLog, type EventNamed } from '../test/fixtures/event-log.js'
import { Place } from '../test/fixtures/place.js'
import { keepmountCommand } from '../test/fixtures/project.js'
import { type StockDaemon, stockDaemons } from '../test/fixtures/stock-daemons.js'
import { median } from '../test/workload/statistics.js'

const bindfs: StockDaemon = stockDaemons.bindfs
const isStock = bindfs.missing === false
const daemonCommand = isStock ? '-- bindfs -f source mount' : '--revive inherit -- keepmount mirror source mount'
const KILLS = 5
const HEALED_MS = 10_000
/** Long enough to see the applications work. */
const CALM_MS = 1200
const FRAME_MS = 80

const { bold, dim, green, red, yellow, cyan } = paint(process.stdout.isTTY, process.env)
const live = process.stdout.isTTY && process.env.TERM !== 'dumb'
const counted = (n: number): string => n.toLocaleString('en').padStart(7)
const say = (line = ''): void => void process.stdout.write(`${line}\n`)

const place = new Place()
let cleaning: Promise<void> | undefined
let interrupted = false
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, async () => {
    interrupted = true
    await clean().catch(() => undefined)
    process.exit(128 + constants.signals[name])
  })

let problems: string[] = []
try {
  problems = await show()
} catch (error) {
  problems = [error instanceof Error ? error.message : String(error)]
} finally {
  await clean()
}
// What an interrupted demo then says of its end is said by its exit code.
if (!interrupted) {
  say()
  for (const problem of problems) say(`${red('✗')} ${problem}`)
  process.exit(problems.length === 0 ? 0 : 1)
}

function clean(): Promise<void> {
  cleaning ??= place.clean()
  return cleaning
}

/** The whole demo; all that went wrong. */
async function show(): Promise<string[]> {
  // So that the commands below are the ones that are run, as after `npm install -g`.
  symlinkSync(keepmountCommand, place.path('keepmount'))
  const env: NodeJS.ProcessEnv = { ...place.env, PATH: `${place.folder}:${process.env.PATH}` }
  delete env.NODE_OPTIONS
  const events = new EventLog(place.path('events'), know)
  place.undo(() => events.close())

  say(bold(`${isStock ? 'bindfs' : 'A FUSE daemon'} is killed with kill -9, and its mount lives on.`))
  if (!isStock) say(`(${bindfs.missing}: a daemon of keepmount’s own stands in for it)`)
  say()
  command(`cd ${place.folder}`)
  const keepmount = run(`keepmount run --name demo --events events --quiet ${daemonCommand}`, env)
  const failed = keepmount.exited.then(({ code, signal }) => {
    throw new Error(`keepmount ended with ${signal ?? code}: ${keepmount.stderr.trim()}`)
  })
  failed.catch(() => undefined)
  const mounted = await Promise.race([events.next('mounted'), failed])
  const held = await Promise.race([events.next('held'), failed])
  tell(
    `${green('●')} life 1, pid ${mounted.daemon_pid}, serves after ${duration(mounted.start_ms)}; ` +
      `holders ${held.holders.join(' and ')} keep its channel`,
  )
  say()

  const writer = new Worker(place, 'writer', `${place.mount}/log`)
  const reader = new Worker(place, 'reader', `${place.mount}/data`)
  tell(`${cyan('writer')}  appends to one open file, each line followed by fsync`)
  tell(`${cyan('reader')}  reads one open file at random places, past the page cache`)
  say()

  const pauses: number[] = []
  let daemon = mounted.daemon_pid
  for (let kill = 1; kill <= KILLS; kill++) {
    await watch([writer, reader])
    const from = events.events.length
    command(`kill -9 ${daemon}`)
    process.kill(daemon, 'SIGKILL')
    const revived = await Promise.race([events.next('revived', { from }), failed])
    await Promise.all([writer.ask(), reader.ask()])
    pauses.push(revived.downtime_ms)
    tellRevival(revived, [writer, reader])
    daemon = revived.daemon_pid
  }
  await watch([writer, reader])
  const from = events.events.length
  await Promise.all([writer.finish(), reader.finish()])
  if (isStock) {
    tell(`${cyan('writer')} and ${cyan('reader')} have closed their files`)
    const closed = performance.now()
    await within(Promise.race([events.next('healed', { from }), failed]), HEALED_MS, 'the mount to heal')
    tell(
      `${green('●')} healed ${duration(performance.now() - closed)} later: the daemon serves its mount without us in between`,
    )
  }
  say()

  const status = await runToEnd(['keepmount', 'status'], { env, cwd: place.folder })
  const lines = status.stdout.trimEnd().split('\n')
  // The table knows nothing of the terminal's width: better none than a broken one.
  if (lines.every((line) => line.length + 2 <= (process.stdout.columns ?? Number.POSITIVE_INFINITY))) {
    command('keepmount status')
    for (const line of lines) tell(line)
  }
  command('keepmount stop demo')
  const stopped = await runToEnd(['keepmount', 'stop', '--quiet', 'demo'], { env, cwd: place.folder })
  if (stopped.code !== 0) throw new Error(`keepmount stop ended with ${stopped.code}: ${stopped.stderr}`)
  const { code, signal } = await keepmount.end()

  const left = place.leftovers()
  const errors = writer.account.errors + reader.account.errors
  const found = [
    ...[writer, reader].flatMap(({ role, account }) => account.notes.map((note) => `the ${role}: ${note}`)),
    ...(errors > 0 && writer.account.notes.length + reader.account.notes.length === 0 ? [`${errors} errors`] : []),
    ...(code === 0 ? [] : [`keepmount ended with ${signal ?? code}: ${keepmount.stderr.trim()}`]),
    ...left.map((what) => `left behind: ${what}`),
  ]
  say()
  verdict(
    errors === 0,
    `${bold(`${errors} errors`)} in ${total(writer)} lines written and ${total(reader)} blocks read`,
  )
  verdict(
    true,
    `${KILLS} × kill -9: pause median ${duration(median(pauses))}, longest ${duration(Math.max(...pauses))}`,
  )
  verdict(
    left.length === 0,
    left.length === 0 ? 'nothing is left: no process, no mount, no state' : 'something is left',
  )
  return found
}

function total({ account }: Worker): string {
  return account.steps.toLocaleString('en')
}

function verdict(good: boolean, text: string): void {
  say(`${good ? green('✓') : red('✗')} ${text}`)
}

function tell(text: string): void {
  say(`  ${text}`)
}

function command(text: string): void {
  say(`${dim('$')} ${bold(text)}`)
}

/** Starts a command in the background, in a session of its own: a Ctrl-C is for us, and we take it away. */
function run(text: string, env: NodeJS.ProcessEnv): Child {
  command(`${text} &`)
  const child = new Child(text.split(' '), { env, cwd: place.folder, detached: true })
  place.undo(() => child.kill())
  return child
}

function know(event: EventLog['events'][number]): void {
  if (event.event === 'mounted') place.knowConnection(event.connection)
  if (event.event === 'held') for (const pid of event.holders) place.knowProcess(pid)
  if (event.event === 'holder_replaced') place.knowProcess(event.holder_pid)
}

/** Lets the applications work for a while; on a terminal their counters run. */
async function watch(workers: readonly Worker[]): Promise<void> {
  const until = performance.now() + CALM_MS
  await Promise.all(workers.map((worker) => worker.ask()))
  while (performance.now() < until) {
    if (live) process.stdout.write(`\r\u001b[K  ${dim('working')}  ${countersOf(workers)}`)
    await pass(FRAME_MS)
    await Promise.all(workers.map((worker) => worker.ask()))
  }
  if (live) process.stdout.write('\r\u001b[K')
}

function tellRevival({ life, downtime_ms }: EventNamed<'revived'>, workers: readonly Worker[]): void {
  const waits = workers.map(({ account }) => account.longest_ms)
  tell(
    `${green('●')} life ${life} after ${yellow(duration(downtime_ms))}; ` +
      `the applications waited ${duration(Math.max(...waits))}  ${dim('·')} ${countersOf(workers)}`,
  )
}

function countersOf(workers: readonly Worker[]): string {
  const errors = workers.reduce((sum, { account }) => sum + account.errors, 0)
  const counters = workers.map(({ role, account }) => `${cyan(role)} ${counted(account.steps)}`)
  return [...counters, errors === 0 ? green('0 errors') : red(`${errors} errors`)].join(`  ${dim('·')} `)
}
