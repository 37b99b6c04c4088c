// Why a mount is behind its relay, and what there is to say of it: for the record, the events and `status`.

export const relayedReasons = [
  'pinned', // somebody holds on to what an earlier life gave out
  'in-use', // what happens just now uses ids of the relay's own
  'held', // what an earlier life had read and not answered waits for the end of the longest pause
  'unseen', // somebody uses the mount whom procfs does not show
  'asked', // --after-heal relay
] as const
export type RelayedReason = (typeof relayedReasons)[number]

/** It is `type` and not `interface` so that it is what the record's schema says. */
export type Healing = {
  reason: RelayedReason
  /** Nodeids that the kernel uses and that are not the daemon's own. */
  stale_nodes: number
  /** Handles, likewise. */
  stale_handles: number
  /** Who holds on to them, as far as can be told; `pid` is null for the kernel itself. */
  pins: { pid: number | null; command: string; path: string }[]
}
