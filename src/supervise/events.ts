// What a managed mount tells the outside: one record for each thing that happened, the same for the event file, the
// terminal and the tests.

import type { Healing, RelayedReason } from './relayed.js'

/** Facts of each event beyond the common ones. Times are milliseconds. */
export interface EventFacts {
  /** The daemon has mounted and answered. */
  mounted: { device: string; connection: number; daemon_pid: number; start_ms: number }
  /** The channel is in the holders. */
  held: { holders: number[]; channels: number }
  crashed: { daemon_pid: number; code: number | null; signal: string | null; restart_in_ms: number | null }
  /** A later life has answered. `resent`: what was done with requests that the dead life had read. */
  revived: { daemon_pid: number; downtime_ms: number; resent: boolean; in_flight: string }
  /** No id of an earlier life is in use any more: the daemon is back on the channel itself. */
  healed: { daemon_pid: number; heal_ms: number; stop_us: number }
  /** The daemon stays behind the relay, for a reason that does not go by itself. */
  relayed: { daemon_pid: number; reason: RelayedReason; pins: Healing['pins'] }
  /** Something that a grafted life cannot keep of an earlier one, or cannot do in its place; once each. */
  noted: { what: string; facts: Readonly<Record<string, unknown>> }
  holder_replaced: { dead_pid: number; holder_pid: number }
  adopted: { daemon_pid: number | null; holders: number[]; previous_supervisor: number }
  gave_up: { reason: GiveUpReason; detail: string; action: string }
  /** The mount is gone because somebody wanted it so. */
  unmounted: { reason: 'unmounted' | 'aborted' }
  stopped: { code: number | null; signal: string | null; exit: number }
}

export type GiveUpReason =
  | 'restart-policy'
  | 'start-limit'
  | 'hold-timeout'
  | 'start-timeout'
  | 'stock-daemon'
  | 'not-graftable'
  | 'channel-lost'
  | 'cannot-run'

export type EventName = keyof EventFacts

export type MountEvent = {
  [Name in EventName]: {
    /** ISO 8601, UTC. */
    time: string
    event: Name
    name: string
    /** Null before the daemon has mounted. */
    mountpoint: string | null
    life: number
  } & EventFacts[Name]
}[EventName]

export type EventSink = (event: MountEvent) => void

/** Milliseconds as events have them. */
export const tenths = (ms: number): number => Math.round(ms * 10) / 10
