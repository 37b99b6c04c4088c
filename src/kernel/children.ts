// Our child processes: those that we started, and orphans of the daemon, which come to us as to their subreaper. Nobody else
// reaps either of them. SIGCHLD tells that some have ended, and each that we started is told of once.
import { type Exit, reap } from '../native/process.js'
import { type Spawn, spawnProcess } from '../native/spawn.js'
import type { Pid } from '../native/types.js'
import { childrenOf } from './process.js'

/** A process that we started. Until its end is known here its pid is no other's. */
export class Child {
  /** Resolves when it has ended and is reaped. Never rejects. */
  readonly ended: Promise<Exit>
  private end: (exit: Exit) => void = () => {}
  private exit: Exit | null = null
  private isWaitedFor = true

  constructor(readonly pid: Pid) {
    this.ended = new Promise((resolve) => {
      this.end = resolve
    })
  }

  /** SIGKILL if nothing else is said. One that has ended gets nothing. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    if (this.exit !== null) return
    try {
      process.kill(this.pid, signal)
    } catch {
      // The rights of another user's program are its own matter.
    }
  }

  /** Our process need not stay alive for its sake. */
  unref(): void {
    this.isWaitedFor = false
    stayOrGo()
  }

  /** As far as is known. */
  get isRunning(): boolean {
    return this.exit === null
  }

  get keepsUs(): boolean {
    return this.isWaitedFor
  }

  /** Looks whether it has ended. */
  look(): void {
    const exit = reap(this.pid)
    if (exit === null) return
    this.exit = exit
    running.delete(this.pid)
    remember(this.pid, exit)
    this.end(exit)
  }
}

const running = new Map<number, Child>()

/** @throws SyscallError as `spawnProcess` */
export function startChild(what: Spawn): Child {
  if (running.size === 0) process.on('SIGCHLD', reapChildren)
  try {
    const child = new Child(spawnProcess(what))
    running.set(child.pid, child)
    ends.delete(child.pid)
    return child
  } finally {
    stayOrGo()
  }
}

/** Those that we started and that run still, as far as is known. */
export const startedChildren = (): ReadonlySet<number> => new Set(running.keys())

/** How the last one that we started with this pid ended; undefined if it runs, or has ended long ago. */
export const endOf = (pid: number): Exit | undefined => ends.get(pid)

const ends = new Map<number, Exit>()
const MOST_ENDS = 64

function remember(pid: number, exit: Exit): void {
  ends.set(pid, exit)
  const [oldest] = ends.keys()
  if (ends.size > MOST_ENDS && oldest !== undefined) ends.delete(oldest)
}

/** Takes note of all that we started and that have ended. */
export function reapChildren(): void {
  for (const child of [...running.values()]) child.look()
  stayOrGo()
}

/** Reaps the orphans that have ended. @param except one whose end is still to be told */
export function reapOrphans(except?: number): void {
  for (const pid of childrenOf('self')) if (!running.has(pid) && pid !== except) reap(pid)
}

/** A process without anything else to do ends, also while it has children: signals do not keep it. */
let stay: NodeJS.Timeout | undefined
const LONG_MS = 2 ** 31 - 1

function stayOrGo(): void {
  const isWaitedFor = [...running.values()].some(({ keepsUs }) => keepsUs)
  if (isWaitedFor) stay ??= setInterval(() => {}, LONG_MS)
  else {
    clearInterval(stay)
    stay = undefined
  }
  if (running.size === 0) process.off('SIGCHLD', reapChildren)
}
