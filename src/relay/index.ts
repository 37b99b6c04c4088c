// The relay, as the supervisor has it: a thread that translates between the kernel's channel and a stock daemon's next life
// while ids of earlier lives are in use, and two processes of a few kB that wait for the mount in its place. A daemon that
// hangs makes the thread wait, and nobody else.
import { Worker } from 'node:worker_threads'
import { closeFd } from '../native/descriptor.js'
import { rawSyscall } from '../native/ffi.js'
import { socketpair } from '../native/socket.js'
import { syscall } from '../native/syscall.js'
import type { Fd } from '../native/types.js'
import { Companion } from './companion.js'
import { type Pin, pinsOf } from './pins.js'
import { type Command, type Message, SHARED_SIZE, type Step, shared, type WorkerData } from './protocol.js'
import { enlarge } from './wire.js'

export type { Pin } from './pins.js'

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
  /** Processes whose open files do not count as pinning: ours, and the daemon. */
  readonly excludePids: readonly number[]
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
  readonly liveNodes: number
  readonly liveHandles: number
  /** Requests that wait for a nodeid to be found. */
  readonly parked: number
}

/** A relay's socket pair, with room for several of the largest messages. @throws SyscallError, EMFILE */
export function relaySockets(): { ours: Fd; theirs: Fd } {
  const [ours, theirs] = socketpair('seqpacket')
  for (const fd of [ours, theirs]) enlarge(fd)
  return { ours, theirs }
}

const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000
const ONE = Buffer.from(BigUint64Array.of(1n).buffer)
/** What a thread that only translates needs; V8 would reserve and keep far more. */
const LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 }

export class Relay {
  /** Resolves when it has ended by itself or was stopped. Never rejects. */
  readonly ended: Promise<RelayEnd>
  private readonly memory = new SharedArrayBuffer(SHARED_SIZE)
  private readonly words = new Int32Array(this.memory)
  private readonly control = syscall('eventfd2', 'a relay', 0, EFD_CLOEXEC | EFD_NONBLOCK) as Fd
  private readonly resolver: Companion | null
  private notifier: Companion | null = null
  private readonly worker: Worker
  private options: RelayOptions | null = null
  private readonly answers = new Map<number, (success: boolean) => void>()
  private nextId = 1
  private onServing: (() => void) | undefined
  private readonly listeners = new Set<(what: string, facts: Record<string, unknown>) => void>()

  /** Starts the thread and the resolver, which then wait: about 40 ms and 10 MB that are spent before a crash. */
  static prepare(): Relay {
    return new Relay()
  }

  private constructor() {
    this.resolver = Companion.start(null)
    const data: WorkerData = {
      control: this.control,
      resolver: this.resolver?.socket ?? -1,
      resolverPid: this.resolver?.pid ?? 0,
      shared: this.memory,
    }
    this.worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: data, resourceLimits: LIMITS })
    let by: RelayEnd | undefined
    this.worker.on('message', (message: Message) => {
      if (message.kind === 'ended') by = { by: message.by }
      else this.take(message)
    })
    this.ended = new Promise((resolve) => {
      this.worker.once('error', (error) => (by = { by: 'error', error }))
      this.worker.once('exit', () => {
        this.release()
        resolve(by ?? { by: 'error', error: new Error('the thread of the relay ended') })
      })
    })
    this.worker.unref()
  }

  /** Called with what a user should know, once each. */
  onReport(listener: (what: string, facts: Record<string, unknown>) => void): void {
    this.listeners.add(listener)
  }

  /** Looks for what is pinned already, while the next life is still being started. */
  scan(device: string, excludePids: readonly number[]): void {
    this.command({ kind: 'scan', device, excludePids })
  }

  /**
   * Begins to translate. Both fds are the relay's from now on. Resolves when requests are served, what is pinned having
   * been found; rejects if it ends before.
   */
  async start(options: RelayOptions): Promise<void> {
    this.options = options
    this.worker.ref()
    const serving = new Promise<void>((resolve) => {
      this.onServing = resolve
    })
    this.command({ kind: 'start', options })
    const end = await Promise.race([serving, this.ended])
    if (end) throw end.by === 'error' ? end.error : new Error(`the relay ended before it served: ${end.by}`)
  }

  /** Its processes, which are our children. */
  pids(): number[] {
    return [this.resolver, this.notifier].flatMap((companion) => (companion ? [companion.pid] : []))
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
      liveNodes: at(shared.liveNodes),
      liveHandles: at(shared.liveHandles),
      parked: at(shared.parked),
    }
  }

  /** Who holds on to files of the mount. A look through procfs: some milliseconds. */
  pins(): Pin[] {
    if (this.options === null) return []
    const { device, excludePids } = this.options
    return pinsOf(device, new Set([...excludePids, process.pid, this.resolver?.pid ?? 0]))
  }

  /** Those among the pins that keep the mount from being healed: standing in the root needs no id but 1. */
  obstacles(): Pin[] {
    return this.pins().filter(({ kind, nodeLow, nodeHigh }) => kind === 'open' || nodeLow !== 1 || nodeHigh !== 0)
  }

  /**
   * Tries to come to a moment when the kernel uses no id but the root's: drops its unused names, twice, and looks who
   * still holds files. If true, the relay reads nothing more until `resume` or `stop`, and the channel blocks again.
   */
  async heal(): Promise<boolean> {
    if (this.obstacles().length > 0) return false
    for (let i = 0; i < 2; i++) if (!(await this.step('purge'))) return false
    const isReady = (await this.step('probe')) && this.obstacles().length === 0
    if (!isReady) return false
    await this.step('close-root')
    if (await this.step('pause')) return true
    await this.step('resume')
    return false
  }

  /** Lets go of the mount, so that the kernel can end it once nobody else uses it. */
  async letGo(): Promise<void> {
    await this.step('close-root')
  }

  /** Goes on after a heal that was not used. */
  async resume(): Promise<void> {
    await this.step('resume')
  }

  /** Ends it. What it has read and not answered stays unanswered. */
  async stop(): Promise<void> {
    Atomics.store(this.words, shared.stop, 1)
    this.wake()
    await this.ended
  }

  private take(message: Exclude<Message, { kind: 'ended' }>): void {
    switch (message.kind) {
      case 'serving':
        return this.onServing?.()
      case 'done':
        this.answers.get(message.id)?.(message.success)
        this.answers.delete(message.id)
        return
      case 'report':
        for (const listener of this.listeners) listener(message.what, message.facts)
        return
      case 'notify':
        if (this.options !== null) this.notifier ??= Companion.start(this.options.channel)
        this.notifier?.notify(Buffer.from(message.bytes))
    }
  }

  private async step(kind: Step): Promise<boolean> {
    const id = this.nextId++
    const answer = new Promise<boolean>((resolve) => this.answers.set(id, resolve))
    this.command({ kind, id })
    return (await Promise.race([answer, this.ended])) === true
  }

  private command(command: Command): void {
    this.worker.postMessage(command)
    this.wake()
  }

  private wake(): void {
    if (!this.isReleased) rawSyscall('write', this.control, ONE, 8)
  }

  private isReleased = false

  private release(): void {
    this.isReleased = true
    this.resolver?.end()
    this.notifier?.end()
    closeFd(this.control)
    if (this.options === null) return
    closeFd(this.options.channel)
    closeFd(this.options.daemon)
  }
}
