// The relay, as the supervisor has it: a thread that translates between the kernel's channel and a stock daemon's next life
// while ids of earlier lives are in use, and two processes of a few kB that wait for the mount in its place. A daemon that
// hangs makes the thread wait, and nobody else.
import { Worker } from 'node:worker_threads'
import { functionAddress } from '../elf/executable.js'
import type { Owner } from '../kernel/mountinfo.js'
import { closeFd } from '../native/descriptor.js'
import { rawSyscall } from '../native/ffi.js'
import { socketpair } from '../native/socket.js'
import { syscall } from '../native/syscall.js'
import type { Fd } from '../native/types.js'
import { Companion } from './companions/companion.js'
import { heal, type Kept, obstaclesAmong, type Patient } from './heal.js'
import type { Pin } from './in-use/pin.js'
import { isStill, pinsOf } from './in-use/pins.js'
import { type Command, type Message, SHARED_SIZE, type Step, shared, type WorkerData } from './protocol.js'
import { enlarge } from './wire/wire.js'

export type { Kept } from './heal.js'
export type { Pin } from './in-use/pin.js'

export interface RelayOptions {
  /** The kernel's side. */
  readonly channel: Fd
  /** Our end of `relaySockets`; the other one is what the daemon reads and writes. */
  readonly daemon: Fd
  /** The number of the life, from 2 on: no two relays of a mount have the same. */
  readonly life: number
  /** Where the mount is in our mount namespace. */
  readonly mountpoint: string
  /** Its device number, as `0:44`. */
  readonly device: string
  /** Who alone may use it; null if we may. */
  readonly owner?: Owner | null
  /** Processes whose open files do not count as pinning: ours, and the daemon. */
  readonly excludePids: readonly number[]
  /** True if the daemon has still to get its end of the socket: until `handedOver`. */
  readonly isAhead?: boolean
}

/** Why it ended: the daemon closed its socket, the mount is gone, it was stopped; or what went wrong in itself. */
export type RelayEnd =
  | { readonly by: 'daemon' | 'channel' | 'stopped' }
  | { readonly by: 'error'; readonly error: Error }

export interface RelayCounts {
  /** Nodeids of earlier lives that the kernel uses, as far as it has shown. */
  readonly staleNodes: number
  /** Handles of earlier lives that were opened again. */
  readonly staleHandles: number
  /** Requests of the kernel that went through. */
  readonly translated: number
  /** Requests that the daemon has not answered. */
  readonly pending: number
  /** Messages of the daemon that made no sense. */
  readonly dropped: number
  /** Nodeids that the kernel uses and that are not the daemon's own. */
  readonly foreignNodes: number
  readonly foreignHandles: number
  /** Requests that wait for a nodeid to be found. */
  readonly parked: number
}

/** A relay's socket pair, with room for several of the largest messages. @throws SyscallError, EMFILE */
export function relaySockets(): { ours: Fd; theirs: Fd } {
  const [ours, theirs] = socketpair('seqpacket')
  for (const fd of [ours, theirs]) enlarge(fd)
  return { ours, theirs }
}

const FEW = 16
/** Each takes some 100 microseconds where little is cached. */
const MOST_PURGES = 30

interface Answered {
  readonly result: number
  readonly ids?: readonly number[]
}

const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000
const ONE = Buffer.from(BigUint64Array.of(1n).buffer)
/** What a thread that only translates needs; V8 would reserve and keep far more. */
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

export class Relay {
  private readonly memory = new SharedArrayBuffer(SHARED_SIZE)
  private readonly words = new Int32Array(this.memory)
  private readonly control = syscall('eventfd2', 'a relay', 0, EFD_CLOEXEC | EFD_NONBLOCK) as Fd
  private resolver: Companion | null = null
  private notifier: Companion | null = null
  /** Asks the kernel which nodeids it holds. */
  private prober: Companion | null = null
  /** Has the kernel forget what is merely cached. */
  private purger: Companion | null = null
  /** Looks at mappings; see looking.ts. */
  private looker: Companion | null = null
  /** The next resolver, started before it is needed. */
  private spare: Companion | null = null
  private readonly worker: Worker
  private options: RelayOptions | null = null
  private readonly answers = new Map<number, (answered: Answered) => void>()
  private nextId = 1
  private whenClear: () => void = () => {}
  private readonly listeners = new Set<(what: string, facts: Record<string, unknown>) => void>()

  private serving = new Serving()
  private isDisposed = false
  private readonly gone: Promise<void>
  private readonly endAtExit = () => this.sayDispose()

  /**
   * Starts the thread, which then waits: about 40 ms and 10 MB that are spent before a crash.
   * @param program the compiled thread; another one only where sources are run as they are
   */
  static prepare(program: URL | string = new URL('./worker.js', import.meta.url)): Relay {
    return new Relay(program)
  }

  private constructor(program: URL | string) {
    const data: WorkerData = { control: this.control, shared: this.memory, pump: functionAddress('pump') }
    this.worker = new Worker(program, { workerData: data, resourceLimits: LIMITS, execArgv: [] })
    this.worker.on('message', (message: Message) => this.take(message))
    this.worker.on('error', (error) => this.finish({ by: 'error', error }))
    this.gone = new Promise((resolve) => {
      this.worker.once('exit', () => {
        this.isDisposed = true
        process.off('exit', this.endAtExit)
        this.finish({ by: 'error', error: new Error('the thread of the relay ended') })
        closeFd(this.control)
        this.spare?.end()
        this.spare = null
        this.endLooker()
        resolve()
      })
    })
    // A thread that waits in a system call would keep the process from exiting.
    process.on('exit', this.endAtExit)
    this.worker.unref()
  }

  /** Resolves when what `start` began last has ended by itself or was stopped. Never rejects. */
  get ended(): Promise<RelayEnd> {
    return this.serving.ended
  }

  /** False once its thread has died of an error: it cannot be started again. */
  get isUsable(): boolean {
    return !this.isDisposed
  }

  /** True from `start` until that has ended. */
  get isBusy(): boolean {
    return this.options !== null
  }

  /** Called with what a user should know, once each. */
  onReport(listener: (what: string, facts: Record<string, unknown>) => void): void {
    this.listeners.add(listener)
  }

  /** Called when the last foreign handle has been closed, or the last foreign nodeid forgotten; in place of who was called before. */
  onClear(listener: () => void): void {
    this.whenClear = listener
  }

  /** Starts the processes that are needed as soon as it begins, where they are not there yet. */
  prepareProcesses(): void {
    if (this.isDisposed) return
    this.spare = this.takeSpare()
    this.lookerSocket()
  }

  /** Looks for what is pinned already, while the next life is still being started. */
  scan(device: string, excludePids: readonly number[]): void {
    this.command({ kind: 'scan', device, excludePids, looker: this.lookerSocket() })
  }

  /**
   * Begins to translate. Both fds are the relay's from now on. Resolves when requests are served, what is pinned having
   * been found, to what the daemon answers to a STATFS: 0 or an errno. Rejects if it ends before.
   */
  async start(options: RelayOptions): Promise<number> {
    const serving = new Serving()
    this.serving = serving
    this.options = options
    this.resolver = this.takeSpare()
    if (options.owner) this.resolver?.become(options.owner)
    Atomics.store(this.words, shared.stop, 0)
    Atomics.store(this.words, shared.ahead, options.isAhead ? 1 : 0)
    this.worker.ref()
    const { socket = -1, pid = 0 } = this.resolver ?? {}
    this.command({ kind: 'start', options, resolver: socket, resolverPid: pid, looker: this.lookerSocket() })
    const served = await Promise.race([serving.began, serving.ended])
    if (typeof served === 'number') return served
    throw served.by === 'error' ? served.error : new Error(`the relay ended before it served: ${served.by}`)
  }

  /** The daemon has its end of the socket. */
  handedOver(): void {
    Atomics.store(this.words, shared.ahead, 0)
    this.wake()
  }

  /** Its processes, which are our children. */
  pids(): number[] {
    return [this.spare, this.resolver, this.notifier, this.prober, this.purger, this.looker].flatMap((companion) =>
      companion ? [companion.pid] : [],
    )
  }

  /** What it has counted; costs nothing. */
  counts(): RelayCounts {
    const at = (word: number): number => Atomics.load(this.words, word) >>> 0
    return {
      staleNodes: at(shared.staleNodes),
      staleHandles: at(shared.staleHandles),
      translated: at(shared.translated),
      pending: at(shared.pending),
      dropped: at(shared.dropped),
      foreignNodes: at(shared.foreignNodes),
      foreignHandles: at(shared.foreignHandles),
      parked: at(shared.parked),
    }
  }

  /** Who holds on to files of the mount. A look through procfs: some milliseconds. */
  pins(): Pin[] {
    if (this.options === null) return []
    const { device, excludePids } = this.options
    const pins = pinsOf(device, new Set([...excludePids, process.pid, ...this.pids()]), this.lookerSocket())
    // One that waits for a process will look at no other.
    if (pins.some(({ kind, nodeLow }) => kind === 'mmap' && nodeLow === 0)) this.endLooker()
    return pins
  }

  /** Those among the pins that keep the mount from being healed: standing in the root needs no id but 1. */
  obstacles(): Pin[] {
    return obstaclesAmong(this.pins())
  }

  /** True if nobody of these holds on to a file any more, as far as that can be told cheaply. */
  haveLetGo(pins: readonly Pin[]): boolean {
    const device = this.options?.device
    const known = pins.filter(({ file }) => file !== null)
    return device !== undefined && known.length > 0 && !known.some((pin) => isStill(pin, device, this.lookerSocket()))
  }

  /** As heal.ts has it. */
  async heal(last: Kept | null = null): Promise<Kept | null> {
    if (this.options === null) return { reason: 'in-use', pins: [] }
    const { device } = this.options
    this.help()
    const patient: Patient = {
      step: (kind) => this.step(kind),
      counts: () => this.counts(),
      pins: () => this.pins(),
      isStill: (pin) => isStill(pin, device, this.lookerSocket()),
      strangersAmong: (pins) => this.strangersAmong(pins),
    }
    return heal(patient, last)
  }

  /** From now on the kernel is given the daemon's own ids where that can be; see plain-ids.ts. Not before the life is settled. */
  async beginPlain(): Promise<void> {
    if (this.options === null) return
    this.help()
    await this.step('plain')
  }

  /**
   * Has the kernel forget what is merely cached. Folders that applications work in are so for an instant at a time: if little
   * else is left, such an instant is waited for.
   * @returns true if a nodeid that is not the daemon's own has gone
   */
  async purge(): Promise<boolean> {
    const { foreignNodes } = this.counts()
    const hasGone = (): boolean => this.counts().foreignNodes < foreignNodes
    for (let i = foreignNodes > FEW ? 1 : MOST_PURGES; i > 0 && !hasGone(); i--)
      if ((await this.step('purge')) < 0) break
    return hasGone()
  }

  private help(): void {
    if (this.prober || this.options === null) return
    this.prober = Companion.start(this.options.channel)
    this.purger = Companion.start(null)
    if (this.options.owner) this.purger?.become(this.options.owner)
    const [prober, purger] = [this.prober?.socket ?? -1, this.purger?.socket ?? -1]
    this.command({ kind: 'helpers', prober, purger })
  }

  /** Lets go of the mount, so that the kernel can end it once nobody else uses it. */
  async letGo(): Promise<void> {
    await this.step('close-root')
  }

  /** Goes on after a heal that was not used. */
  async resume(): Promise<void> {
    await this.step('resume')
  }

  /** Ends what `start` began; it can be started again. What it has read and not answered stays unanswered. */
  async stop(): Promise<void> {
    if (this.options === null) return
    const { ended } = this
    Atomics.store(this.words, shared.stop, 1)
    this.wake()
    await ended
  }

  /** Ends its thread too. */
  async dispose(): Promise<void> {
    if (!this.isDisposed) this.worker.ref()
    this.sayDispose()
    await this.gone
  }

  private sayDispose(): void {
    Atomics.store(this.words, shared.dispose, 1)
    this.wake()
  }

  private take(message: Message): void {
    switch (message.kind) {
      case 'ended':
        return this.finish({ by: message.by })
      case 'serving':
        return this.serving.begin(message.errno)
      case 'done':
        this.answers.get(message.id)?.(message)
        this.answers.delete(message.id)
        return
      case 'clear':
        return this.whenClear()
      case 'call':
        return this.help()
      case 'report':
        for (const listener of this.listeners) listener(message.what, message.facts)
        return
      case 'notify':
        if (this.options !== null) this.notifier ??= Companion.start(this.options.channel)
        this.notifier?.notify(Buffer.from(message.bytes))
    }
  }

  /** Its result; negative if the relay has ended. */
  private async step(kind: Step): Promise<number> {
    return (await this.ask((id) => ({ kind, id }))).result
  }

  /** Those whose nodeids, or those of their folders, are not the daemon's own. */
  private async strangersAmong(pins: readonly Pin[]): Promise<Pin[]> {
    if (pins.length === 0) return []
    const nodesOf = ({ nodeLow: low, nodeHigh: high, folder }: Pin) => [{ low, high }, ...(folder ? [folder] : [])]
    const ids = pins.flatMap(nodesOf).flatMap(({ low, high }) => [low, high])
    const { ids: strange = ids } = await this.ask((id) => ({ kind: 'strangers', id, ids }))
    const keys = new Set<string>()
    for (let i = 0; i < strange.length; i += 2) keys.add(`${strange[i + 1]}:${strange[i]}`)
    return pins.filter((pin) => nodesOf(pin).some(({ low, high }) => keys.has(`${high}:${low}`)))
  }

  private ask(command: (id: number) => Command): Promise<Answered> {
    const id = this.nextId++
    const answer = new Promise<Answered>((resolve) => this.answers.set(id, resolve))
    this.command(command(id))
    return Promise.race([answer, this.ended.then(() => ({ result: -1 }))])
  }

  private command(command: Command): void {
    this.worker.postMessage(command)
    Atomics.add(this.words, shared.told, 1)
    this.wake()
  }

  private wake(): void {
    if (!this.isDisposed) rawSyscall('write', this.control, ONE, 8)
  }

  private takeSpare(): Companion | null {
    const { spare } = this
    this.spare = null
    if (spare?.isAlive) return spare
    spare?.end()
    return Companion.start(null)
  }

  private lookerSocket(): number {
    if (this.looker && !this.looker.isAlive) this.endLooker()
    this.looker ??= Companion.start(null)
    return this.looker?.socket ?? -1
  }

  private endLooker(): void {
    this.looker?.end()
    this.looker = null
  }

  /** What was begun is over, and what it used is closed. */
  private finish(end: RelayEnd): void {
    const { serving, options } = this
    this.options = null
    this.resolver?.end()
    this.notifier?.end()
    this.prober?.end()
    this.purger?.end()
    this.resolver = this.notifier = this.prober = this.purger = null
    if (Atomics.load(this.words, shared.dispose) === 0) this.worker.unref()
    if (options !== null) {
      closeFd(options.channel)
      closeFd(options.daemon)
    }
    serving.end(end)
  }
}

/** One time from `start` to its end. */
class Serving {
  begin: (errno: number) => void = () => {}
  end: (end: RelayEnd) => void = () => {}
  readonly began = new Promise<number>((resolve) => {
    this.begin = resolve
  })
  readonly ended = new Promise<RelayEnd>((resolve) => {
    this.end = resolve
  })
}
