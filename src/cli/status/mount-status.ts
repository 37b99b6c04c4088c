// What `status` tells about one mount, as --json prints it.
import { waitingRequests } from '../../kernel/connection.js'
import { isAlive } from '../../kernel/process.js'
import type { Pid } from '../../native/types.js'
import type { KnownMount } from '../../state/folder.js'
import type { Crash } from '../../state/record.js'
import type { ReviveMode } from '../../supervise/options.js'
import type { Healing } from '../../supervise/relayed.js'
import type { State } from '../../supervise/transitions.js'

export interface MountStatus {
  readonly name: string
  /** Null until the daemon has mounted, as are device and connection. */
  readonly mountpoint: string | null
  readonly device: string | null
  readonly connection: number | null
  /** `unsupervised`: its keepmount process is dead, and `adopt` takes it up. */
  readonly state: State | 'unsupervised'
  readonly revive: ReviveMode
  readonly life: number
  /** Null while no daemon lives. */
  readonly daemon: { readonly pid: number; readonly argv: readonly string[] } | null
  /** The living ones. */
  readonly holders: readonly { readonly pid: number }[]
  readonly supervisor: { readonly pid: number } | null
  readonly crashes: number
  readonly last_crash: Crash | null
  /** While the state is `healing`: what keeps the daemon behind the relay. It is up to some seconds old. */
  readonly healing: Healing | null
  /** Requests that the daemon has not answered; null if the connection is gone or cannot be seen. */
  readonly waiting: number | null
}

/** Null for a folder without a record. */
export function mountStatus({ name, record }: KnownMount): MountStatus | null {
  if (record === null) return null
  const { mount, daemon, options } = record
  const supervised = lives(record.supervisor)
  return {
    name,
    mountpoint: mount?.mountpoint ?? options.mountpoint,
    device: mount?.device ?? null,
    connection: mount?.connection ?? null,
    state: supervised ? record.state : 'unsupervised',
    revive: options.revive,
    life: record.life,
    daemon: daemon !== null && lives(daemon) ? { pid: daemon.pid, argv: options.argv } : null,
    holders: record.holders.filter(lives).map(({ pid }) => ({ pid })),
    supervisor: supervised ? { pid: record.supervisor.pid } : null,
    crashes: record.crashes,
    last_crash: record.lastCrash,
    healing: supervised && record.state === 'healing' ? record.healing : null,
    waiting: mount === null ? null : waiting(mount.connection),
  }
}

const lives = ({ pid, startTime }: { pid: number; startTime: string }): boolean =>
  isAlive({ pid: pid as Pid, startTime })

function waiting(connection: number): number | null {
  try {
    return waitingRequests(connection)
  } catch {
    // Not everybody may see it.
    return null
  }
}
