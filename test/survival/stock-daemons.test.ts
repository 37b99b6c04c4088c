// Every stock daemon of the table under the same application, which holds on to everything and goes on working: once
// without kills, and once with the daemon killed before each round. What it sees must be the same, whatever the daemon can
// or cannot do by itself; only what is known to die with a daemon, a column of the table, may differ.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { nothingLeft } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { Place } from '../fixtures/place.js'
import { cannotGraft, type StockDaemon, stockDaemons, stockNames } from '../fixtures/stock-daemons.js'

const ROUNDS = 3
/** What a round writes leaves no hole: rclone 1.60 never starts again with one in a file that it has half uploaded. */
const SLOT = 100
const NAMES = Array.from({ length: 30 }, (_, i) => `name-${String(i).padStart(2, '0')}`)

// They mostly wait for processes to start.
t.jobs = 2

/** What an operation gave: its value as text, or the error's name. By round and operation. */
type Seen = Map<string, string>

for (const name of stockNames)
  t.test(
    `${name}: an application sees of ${ROUNDS} kills what it sees without`,
    { skip: cannotGraft(name), timeout: 100_000, buffered: true },
    (t) => compare(t, stockDaemons[name]),
  )

async function compare(t: Test, daemon: StockDaemon): Promise<void> {
  const without = await seenOf(t, daemon, false)
  const withKills = await seenOf(t, daemon, true)
  const { loses = {}, unwritten } = daemon
  const done = [...without].filter(([, outcome]) => !outcome.startsWith('E')).length
  t.comment(`${done} of ${without.size} operations are ones that this daemon can do`)
  for (const [operation, outcome] of without) {
    const feature = features.find(([prefix]) => operation.includes(prefix))?.[1]
    if (feature !== undefined && feature in loses) continue
    if (unwritten !== undefined && ofOpenFiles.test(operation)) continue
    t.equal(withKills.get(operation), outcome, operation)
  }
}

/** Operations that are about what some daemons lose. */
const features = [
  ['unlinked', 'unlinked'],
  ['log again', 'append'],
] as const

/** What is about files that are written and not closed; a listing has their names. */
const ofOpenFiles = /new|unlinked|append|sync|close|log|^list/

async function seenOf(t: Test, daemon: StockDaemon, isKilled: boolean): Promise<Seen> {
  const place = new Place()
  try {
    prepare(place)
    const options = [...unlimited, '--quiet', '--revive', 'graft']
    const managed = await Managed.serving(place, { daemon: daemon.command(place), options })
    const worker = new Worker(new Application(place), place.mount)
    await worker.begin()
    for (let round = 1; round <= ROUNDS; round++) {
      if (isKilled) await crash(managed)
      await worker.round(round)
    }
    await worker.end()
    t.equal(managed.life, isKilled ? ROUNDS + 1 : 1, 'lives')
    await managed.stop()
    await nothingLeft(t, place)
    return worker.seen
  } finally {
    await place.clean()
  }
}

/** One that goes into the background is another process than the one that had mounted: the record knows it. */
async function crash(managed: Managed): Promise<void> {
  const record = JSON.parse(readFileSync(join(managed.place.state, 'it', 'state.json'), 'utf8')) as {
    daemon: { pid: number }
  }
  const from = managed.log.events.length
  process.kill(record.daemon.pid, 'SIGKILL')
  await managed.event('revived', { from })
}

function prepare({ source }: Place): void {
  mkdirSync(join(source, 'folder'))
  mkdirSync(join(source, 'many'))
  for (const name of NAMES) writeFileSync(join(source, 'many', name), name)
  writeFileSync(join(source, 'old'), 'what was there before\n'.repeat(500))
}

/** The application, step by step. */
class Worker {
  readonly seen: Seen = new Map()
  private readonly fds = new Map<string, number>()
  private folder = -1
  private names: string[] = []

  constructor(
    private readonly app: Application,
    private readonly mount: string,
  ) {}

  async begin(): Promise<void> {
    const { mount } = this
    // For daemons that show nothing of the source.
    await this.do('make folder', 'mkdirSync', `${mount}/folder`)
    await this.do('make old', 'writeFileSync', `${mount}/old`, 'what was there before\n'.repeat(500))
    await this.open('read-only', `${mount}/old`, 'r')
    await this.open('hello', `${mount}/hello`, 'r')
    await this.open('new', `${mount}/new`, 'w+')
    await this.do('write new', 'writeSync', this.fds.get('new'), 'first'.padEnd(SLOT))
    await this.open('log', `${mount}/log`, 'a')
    await this.open('unlinked', `${mount}/gone`, 'w+')
    await this.do('write unlinked', 'writeSync', this.fds.get('unlinked'), 'the old bytes')
    await this.do('remove unlinked', 'unlinkSync', `${mount}/gone`)
    await this.do('enter', 'chdir', `${mount}/folder`)
    this.folder = Number(await this.do('open half-read', 'openFolder', `${mount}/many`))
    await this.readSome('begin half-read', 5)
  }

  async round(round: number): Promise<void> {
    const { mount, fds } = this
    const at = (what: string): string => `${what}, round ${round}`
    await this.do(at('read'), 'readFrom', fds.get('read-only'), 100 * round, 60)
    await this.do(at('read hello'), 'readFrom', fds.get('hello'), 0, 6)
    await this.do(at('write new'), 'writeSync', fds.get('new'), `life ${round}`.padEnd(SLOT), SLOT * round)
    await this.do(at('read new'), 'readFrom', fds.get('new'), SLOT * (round - 1), 106)
    await this.do(at('append'), 'writeSync', fds.get('log'), `${round}\n`)
    await this.do(at('sync'), 'fsyncSync', fds.get('log'))
    await this.do(at('read unlinked'), 'readFrom', fds.get('unlinked'), 0, 13)
    await this.do(at('cwd'), 'cwd')
    await this.do(at('make by a relative name'), 'writeFileSync', `made-${round}`, `made ${round}`)
    await this.do(at('move'), 'renameSync', `made-${round}`, `../moved-${round}`)
    await this.do(at('read moved'), 'readFileSync', `../moved-${round}`, 'utf8')
    await this.do(at('make folder'), 'mkdirSync', `sub-${round}`)
    await this.do(at('remove folder'), 'rmdirSync', `sub-${round}`)
    await this.do(at('list'), 'readdirSync', mount)
    await this.readSome(at('half-read'), 5)
  }

  async end(): Promise<void> {
    await this.readSome('rest of half-read', NAMES.length)
    this.seen.set('half-read in all', this.names.toSorted().join())
    for (const [name, fd] of this.fds) await this.do(`close ${name}`, 'closeSync', fd)
    await this.do('read new again', 'readFileSync', `${this.mount}/new`, 'utf8')
    await this.do('read log again', 'readFileSync', `${this.mount}/log`, 'utf8')
    this.app.kill()
    await this.app.ended
  }

  private async open(what: string, path: string, flags: string): Promise<void> {
    const fd = Number(await this.do(`open ${what}`, 'openSync', path, flags))
    // Of one that cannot be opened everything else fails alike.
    this.fds.set(what, Number.isInteger(fd) ? fd : 999)
    if (Number.isInteger(fd)) this.seen.set(`open ${what}`, 'open')
  }

  private async readSome(what: string, count: number): Promise<void> {
    const names = await this.do(what, 'readFolder', this.folder, count)
    if (Array.isArray(names)) this.names.push(...(names as string[]))
  }

  private async do(what: string, name: string, ...args: unknown[]): Promise<unknown> {
    try {
      const value = await this.app.do(name, ...args)
      const text = Array.isArray(value) ? value.toSorted().join() : String(value)
      this.seen.set(what, text.replaceAll(this.mount, 'MOUNT'))
      return value
    } catch (error) {
      this.seen.set(what, (error as NodeJS.ErrnoException).code ?? String(error))
      return undefined
    }
  }
}
