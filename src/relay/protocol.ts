// What the supervisor and the relay's thread tell each other, and the numbers that they share.
import type { RelayOptions } from './index.js'

/** To the thread. Each but `start` is answered by its id. */
export type Command =
  | {
      readonly kind: 'start'
      readonly options: RelayOptions
      /** The resolver's socket, or -1. */
      readonly resolver: number
      readonly resolverPid: number
      /** The socket of the companion that looks at mappings, or -1. */
      readonly looker: number
    }
  | { readonly kind: 'scan'; readonly device: string; readonly excludePids: readonly number[]; readonly looker: number }
  /** The sockets of those who ask which nodeids the kernel holds, and who purge. */
  | { readonly kind: 'helpers'; readonly prober: number; readonly purger: number }
  /** Which of these nodeids are not the daemon's own; given and answered as pairs of a lower and an upper half. */
  | { readonly kind: 'strangers'; readonly id: number; readonly ids: readonly number[] }
  | { readonly kind: Step; readonly id: number }
/** The steps of a heal, and back. `plain`: from now on the kernel may be given ids of the daemon's own. */
export type Step = 'plain' | 'purge' | 'probe' | 'use' | 'silence' | 'close-root' | 'pause' | 'resume'

/** From the thread. */
export type Message =
  /** What is pinned has been found; with what the daemon answers to a STATFS, 0 or an errno. */
  | { readonly kind: 'serving'; readonly errno: number }
  | { readonly kind: 'done'; readonly id: number; readonly result: number; readonly ids?: readonly number[] }
  | { readonly kind: 'clear' }
  /** `helpers` are wanted. */
  | { readonly kind: 'call' }
  | { readonly kind: 'report'; readonly what: string; readonly facts: Record<string, unknown> }
  | { readonly kind: 'notify'; readonly bytes: Uint8Array }
  | { readonly kind: 'ended'; readonly by: 'daemon' | 'channel' | 'stopped' }

/** What the thread is made with. */
export interface WorkerData {
  /** An eventfd: there is a command, or it is to stop. */
  readonly control: number
  readonly shared: SharedArrayBuffer
  /** Where the pump is mapped; null if it can't be had. */
  readonly pump: number | null
}

/** Words of the shared memory. */
export const shared = {
  stop: 0,
  staleNodes: 1,
  staleHandles: 2,
  translated: 3,
  pending: 4,
  dropped: 5,
  foreignNodes: 6,
  foreignHandles: 7,
  parked: 8,
  dispose: 9,
  /** Counts the commands, for a thread that has no time to sleep. */
  told: 10,
  /** 1 as long as nobody has the other end of the daemon's socket. */
  ahead: 11,
} as const
export const SHARED_SIZE = 4 * 16
