// The relay's thread. It is started before it is needed and sleeps until it is told to begin; from then on it never goes
// back to its event loop. It ends with one of its two ends, or when it is stopped,
// and then sleeps again.
import { dirname } from 'node:path'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { FUSE_ROOT_ID } from '../fuse/flags.js'
import { rawSyscall } from '../native/ffi.js'
import { pollEvents, pollOnce } from '../native/poll.js'
import { Prober } from './companions/prober.js'
import { ResolverLine } from './companions/resolver-line.js'
import { Stale } from './find/stale.js'
import { hasOurPath, openFilesAmong, pinsOf } from './in-use/pins.js'
import { HAS_ROOM, Scan } from './in-use/scan.js'
import { Memory } from './memory.js'
import { type Command, type Message, type Step, shared, type WorkerData } from './protocol.js'
import { Translator } from './translate/translator.js'
import { Ended, ends, Wire } from './wire/wire.js'

/** How long the pinned files may take to be found before requests are served without them. */
const PINS_DEADLINE_MS = 2000
/** How long a heal waits for a moment without requests. */
const QUIET_DEADLINE_MS = 100
const CLEAR_MS = 10
const LONG_MS = 1000
const WARM_UPS = 8
/** Of a load, so many messages are served for each process that is looked at. */
const TURNS_A_STEP = 8

const data = workerData as WorkerData
const memory = new Memory()
const counters = new Int32Array(data.shared)
const count = new Uint32Array(data.shared)
const drained = Buffer.alloc(8)
const tell = (message: Message): void => parentPort?.postMessage(message)
const isDisposed = (): boolean => Atomics.load(counters, shared.dispose) !== 0
const isStopped = (): boolean => Atomics.load(counters, shared.stop) !== 0 || isDisposed()

function nextCommand(): Command | undefined {
  return parentPort ? (receiveMessageOnPort(parentPort)?.message as Command | undefined) : undefined
}

type Start = Extract<Command, { kind: 'start' }>

/** Waits for the beginning; null if the thread is to end. What is pinned is looked for meanwhile. */
function awaitStart(): { start: Start; scan: Scan } | null {
  let scan: Scan | undefined
  while (!isDisposed()) {
    const command = nextCommand()
    if (command?.kind === 'start') {
      const { device, excludePids } = command.options
      return { start: command, scan: scan?.device === device ? scan : new Scan(device, excludePids, command.looker) }
    }
    if (command?.kind === 'scan') scan = new Scan(command.device, command.excludePids, command.looker)
    else if (command === undefined && scan?.pins === null) scan.step()
    else if (command === undefined) {
      // A step of what has ended is left out: what comes after it may have been told of already.
      pollOnce(data.control, pollEvents.POLLIN, 3_600_000)
      rawSyscall('read', data.control, drained, 8)
    }
  }
  return null
}

class Serving {
  private readonly wire: Wire
  private readonly line: ResolverLine
  private readonly stale: Stale
  private readonly translator: Translator
  private readonly mountpoint: Buffer
  private prober = new Prober(-1)
  /** Another one than the resolver: to purge is to write back first, and what is written may have to be resolved. */
  private purger = new ResolverLine(-1)
  private isPaused = false
  /** True while nothing is read but what the daemon answers. */
  private isDraining = false
  /** True once there was nothing to be read from the channel. */
  private wasEmpty = false
  /** 2 while the kernel has a handle that is not the daemon's own, 1 while only nodeids. */
  private foreign = 0
  private clearAt = 0
  /** How many commands there were when they were last looked for. */
  private told = 0

  constructor(
    { options, resolver, resolverPid }: Start,
    private readonly scan: Scan,
  ) {
    const { channel, daemon, life, mountpoint } = options
    this.line = new ResolverLine(resolver)
    this.mountpoint = Buffer.from(mountpoint)
    this.wire = new Wire(channel, daemon, data.control, resolver, data.pump)
    this.stale = new Stale(this.line, this.mountpoint, memory)
    const reported = new Set<string>()
    this.translator = new Translator(this.wire, this.stale, life, {
      isStopped,
      notify: (bytes) => tell({ kind: 'notify', bytes }),
      callHelpers: () => tell({ kind: 'call' }),
      report: (what, facts = {}) => {
        const key = `${what} ${JSON.stringify(facts)}`
        if (reported.has(key) || reported.size > 1000) return
        reported.add(key)
        tell({ kind: 'report', what, facts })
      },
    })
    this.translator.resolverPid = resolverPid
    this.stale.attach(this.translator)
  }

  /** Serves until it ends. @throws Ended */
  run(): never {
    const { stale, translator } = this
    let isPinning = true
    translator.isReserved = true
    const serve = (): void => {
      isPinning = false
      translator.isReserved = false
      stale.release()
      tell({ kind: 'serving', errno: Math.max(0, -translator.daemon.ask('STATFS', FUSE_ROOT_ID, 0)) })
    }
    stale.begin(null, serve)
    this.findPins()
    let until = performance.now() + PINS_DEADLINE_MS
    while (isPinning) {
      const isAhead = Atomics.load(count, shared.ahead) !== 0
      this.turn(stale.isGathering ? 0 : Math.max(1, until - performance.now()))
      // What has to be asked of the daemon waits until that is there.
      if (isAhead) until = performance.now() + PINS_DEADLINE_MS
      else if (performance.now() >= until) stale.giveUpPins()
    }
    for (;;) this.turn(-1)
  }

  /** Serves what can be served without, and looks for what is pinned in between. @throws Ended */
  private findPins(): void {
    const { scan, stale } = this
    while (!HAS_ROOM && Atomics.load(count, shared.ahead) !== 0) this.turn(stale.isGathering ? 0 : LONG_MS)
    while (scan.pins === null) {
      for (let i = 0; i < TURNS_A_STEP && this.turn(0); i++);
      scan.step()
    }
    const known = scan.pins.filter(({ nodeLow, nodeHigh }) => nodeLow !== 0 || nodeHigh !== 0)
    stale.seesAll = known.length === scan.pins.length
    const open = openFilesAmong(known)
    const located = known.map((pin) => ({ pin, path: hasOurPath(pin) ? pin.path : null }))
    // By which name the kernel will know a file that has several, nobody can say: the folder of each is in use.
    const folders = located.flatMap(({ pin: { folder }, path }) =>
      folder ? [{ ...folder, path: path && dirname(path) }] : [],
    )
    const nodes = located.map(({ pin, path }) => ({
      low: pin.nodeLow,
      high: pin.nodeHigh,
      generation: pin.generation,
      isOpen: open.has(pin),
      path,
    }))
    stale.know([...folders, ...nodes])
  }

  /** The channel is left as daemons expect it. */
  leave(): void {
    try {
      this.wire.flush()
    } catch (error) {
      if (!(error instanceof Ended)) throw error
    }
    this.wire.setChannelBlocking(true)
    this.publish()
    this.wire.close()
    this.line.free()
    this.purger.free()
    this.translator.daemon.free()
  }

  /** One round: waits for something, and does it. Returns false if nothing was there in time. @throws Ended */
  private turn(timeoutMs: number): boolean {
    const { wire, stale, translator } = this
    if (isStopped()) throw new Ended('stopped')
    if (wire.isTold || count[shared.told] !== this.told) this.obey()
    // Closed first: a daemon need not know what it was told to forget.
    translator.reopening.doLate()
    translator.doLate()
    stale.askDelayed()
    if (timeoutMs < 0 && this.isQuick()) return this.quickTurn()
    wire.flush()
    const isFree = translator.unsent === 0
    if (isFree && stale.hasReady && !this.isPaused) {
      stale.redo()
      this.publish()
      return true
    }
    // A daemon that has got the channel back closes the socket: that is no end.
    const wanted =
      (this.isPaused ? 0 : ends.daemon) |
      (this.line.socket >= 0 ? ends.resolver : 0) |
      (isFree && !this.isPaused && !this.isDraining ? ends.channel : 0) |
      (isFree ? 0 : ends.writable)
    const { plainIds, otherNames, gone } = translator
    if (gone.isDue) gone.dropUnsure()
    const limit = shortest(timeoutMs, plainIds.patience, otherNames.patience)
    const ready = wire.wait(wanted, limit, this.prober.socket, this.purger.socket)
    if (ready & ends.prober) this.prober.receive()
    if (ready & ends.purger) this.purger.receive()
    const isEmpty = (wanted & ~ready & ends.channel) !== 0
    if (isEmpty) this.wasEmpty = true
    if (plainIds.isBusy) plainIds.proceed(isEmpty)
    if (otherNames.isBusy) otherNames.proceed()
    if (stale.isGathering && (ready & ends.channel) === 0) stale.gathered()
    if (ready & ends.daemon) {
      const length = wire.readReply()
      if (length > 0) translator.fromDaemon(length)
    }
    if (ready & ends.writable) translator.sendUnsent()
    if (ready & ends.resolver) this.line.receive()
    if (isFree && !this.isPaused && !this.isDraining && (ready & ends.channel) === 0 && !translator.isReserved)
      translator.spanning.end()
    if (ready & ends.channel && translator.unsent === 0) {
      const length = wire.readRequest()
      if (length > 0) translator.fromKernel(length)
    }
    this.publish()
    return ready !== 0
  }

  /** True if nothing is to be done but to bring messages from one end to the other. */
  private isQuick(): boolean {
    const { translator, stale, line, purger, prober } = this
    const isFree = translator.unsent === 0 && !stale.hasReady && !line.isWaiting
    const { plainIds, otherNames, gone } = translator
    const isAlone = !prober.isWaiting && !purger.isWaiting && !plainIds.isBusy && !otherNames.isBusy && !gone.isDue
    return isFree && isAlone && !this.isPaused && translator.spanning.isOver
  }

  private quickTurn(): boolean {
    const { wire, translator } = this
    const ready = wire.next(translator.pending.size > 0)
    if (ready & ends.daemon) translator.fromDaemon(wire.length)
    else if (ready & ends.channel) translator.fromKernel(wire.length)
    else if (ready & ends.resolver) {
      this.line.receive()
      if (this.line.socket < 0) wire.dropResolver()
    }
    this.publish()
    return ready !== 0
  }

  private publish(): void {
    const { nodes, handles, pending, tally } = this.translator
    const foreign = handles.live > 0 ? 2 : nodes.foreign > 0 ? 1 : 0
    if (foreign < this.foreign) this.tellClear()
    this.foreign = foreign
    count[shared.staleNodes] = nodes.staleCount + this.stale.unresolved
    count[shared.staleHandles] = handles.staleCount
    count[shared.translated] = tally.translated
    count[shared.pending] = pending.size
    count[shared.dropped] = tally.dropped
    count[shared.foreignNodes] = nodes.foreign + this.stale.unresolved
    count[shared.foreignHandles] = handles.live
    count[shared.parked] = this.stale.parkedCount
  }

  /** A load closes its last file again and again: who misses one looks by himself soon. */
  private tellClear(): void {
    const now = performance.now()
    if (now - this.clearAt < CLEAR_MS) return
    this.clearAt = now
    tell({ kind: 'clear' })
  }

  private obey(): void {
    this.wire.isTold = false
    this.told = Atomics.load(count, shared.told)
    for (let command = nextCommand(); command; command = nextCommand())
      if (command.kind === 'helpers') this.help(command.prober, command.purger)
      else if (command.kind === 'strangers') {
        const { id, ids } = command
        const strange = ids.filter((_, i) => !this.translator.nodes.isOwn(ids[i & ~1] ?? 0, ids[i | 1] ?? 0))
        tell({ kind: 'done', id, result: strange.length / 2, ids: strange })
      } else if ('id' in command) {
        const { id } = command
        this.steps[command.kind]((result) => tell({ kind: 'done', id, result }))
      }
  }

  private readonly steps: Record<Step, (done: (result: number) => void) => void> = {
    plain: (done) => {
      this.translator.plainIds.isOn = true
      done(1)
    },
    purge: (done) =>
      (this.purger.socket < 0 ? this.line : this.purger).purge(this.mountpoint, (answer) => done(answer?.result ?? -1)),
    probe: (done) => this.translator.gone.drop(() => done(this.stale.unresolved === 0 ? 1 : 0)),
    silence: (done) => done(Math.floor(performance.now() - this.stale.metAt)),
    use: (done) => this.line.use(this.mountpoint, (answer) => done(answer?.result ?? -1)),
    'close-root': (done) => this.line.closeRoot(() => done(1)),
    pause: (done) => done(this.pause() ? 1 : 0),
    resume: (done) => {
      this.isPaused = false
      this.wire.setChannelBlocking(false)
      if (!this.line.isOpen) this.line.open(this.mountpoint, () => {})
      done(1)
    },
  }

  private help(prober: number, purger: number): void {
    this.prober = new Prober(prober)
    this.purger.free()
    this.purger = new ResolverLine(purger)
    this.translator.plainIds.prober = this.prober
    this.translator.gone.helpedBy(this.prober)
    this.translator.otherNames.helpedBy(this.purger, this.mountpoint)
    this.stale.awaited.names.helpedBy(this.prober)
  }

  /**
   * Stops reading at a moment when the kernel holds no id but the daemon's own and the daemon has no request. What earlier
   * lives gave out has been forgotten by now, and told so: the channel has to be empty once. Under a load there is soon a
   * request again that is not read yet: it names the daemon's ids alone, and is the daemon's to read.
   * @returns false if no such moment came
   */
  private pause(): boolean {
    const until = performance.now() + QUIET_DEADLINE_MS
    this.wasEmpty = false
    while (performance.now() < until) {
      const isQuiet = !this.turn(0)
      const mayDrain = this.translator.plainIds.isOn && this.wasEmpty && this.isClean()
      if (this.isClean() && this.isIdle() && (isQuiet || mayDrain)) {
        this.isDraining = false
        this.isPaused = true
        this.wire.setChannelBlocking(true)
        return true
      }
      this.isDraining = mayDrain
      // FORGETs come when the kernel gets to them, answers when the daemon does.
      if (isQuiet) this.turn(Math.max(1, until - performance.now()))
    }
    this.isDraining = false
    return false
  }

  /** True if the kernel holds no id but the daemon's own, and nothing waits here that may be about another. */
  private isClean(): boolean {
    const { nodes, handles, plainIds, otherNames } = this.translator
    const holdsNothing = nodes.foreign === 0 && handles.live === 0 && this.stale.unresolved === 0
    return holdsNothing && this.stale.parkedCount === 0 && !plainIds.isKeeping && !otherNames.isBusy
  }

  /** True if the daemon owes no answer. */
  private isIdle(): boolean {
    const { pending, unsent } = this.translator
    return pending.size === 0 && unsent === 0
  }
}

/** Of times to wait, in milliseconds; negative is for ever. */
function shortest(...timesMs: number[]): number {
  const limited = timesMs.filter((ms) => ms >= 0)
  return limited.length === 0 ? -1 : Math.min(...limited)
}

/** Code that has run several times is several times as fast, and a look at all processes is what a pause waits for most. */
function warmUp(): void {
  const nothing = '0:0'
  for (let i = 0; i < WARM_UPS && Atomics.load(count, shared.told) === 0; i++) pinsOf(nothing, new Set(), -1)
}

function serve(start: Start, scan: Scan): Ended['by'] {
  const serving = new Serving(start, scan)
  try {
    return serving.run()
  } catch (error) {
    if (error instanceof Ended) return error.by
    throw error
  } finally {
    serving.leave()
  }
}

warmUp()
for (let begun = awaitStart(); begun; begun = awaitStart()) tell({ kind: 'ended', by: serve(begun.start, begun.scan) })
