// The next life of a stock daemon, as far as it can be made before it is needed: a process in a mount namespace of its own, in
// which the old mount is not there, and that waits for the word to become the daemon. It is on record by then, so that nothing
// is left to do before the word. A namespace is a copy of the mounts as they were: once these have changed on the host, another
// one is made.
import { type IsolatedLaunched, launchIsolated, mountpointsOf } from '../graft/isolated-launch.js'
import { Namespace } from '../graft/namespace.js'
import { mountTable, parseMountinfo } from '../kernel/mountinfo.js'
import { type ProcessIdentity, startTimeOf } from '../kernel/process.js'
import { Companion } from '../relay/companions/companion.js'
import type { ManagedMount } from './managed-mount.js'

/** What is mounted one after the other is waited for, so that a script that mounts ten things costs one process and not ten. */
const SETTLING_MS = 100

/** A process that waits for the word in its namespace, and is on record. Both are the caller's. */
export interface Ready {
  readonly launched: IsolatedLaunched
  readonly namespace: Namespace
  /** Who will ask its decoy for an answer. */
  readonly asker: Companion | null
}
/** One that may still be on its way there. */
export type Waiting =
  | Ready
  | { readonly launched: IsolatedLaunched; readonly namespace: null; readonly asker: Companion | null }

export class Standby {
  private readonly launched: IsolatedLaunched
  private readonly asker = Companion.start(null)
  private namespace: Namespace | null = null
  /** Null until it has its namespace. */
  identity: ProcessIdentity | null = null

  private constructor(
    m: ManagedMount,
    /** The host's mounts when it was made. */
    private readonly table: string,
    device: string,
  ) {
    this.launched = launchNext(m, table, device)
    this.launched.child.unref()
    const { pid, isolated } = this.launched
    isolated
      .then(() => {
        if (m.standby !== this) return
        this.namespace = Namespace.of(pid)
        this.identity = { pid, startTime: startTimeOf(pid) ?? '' }
        m.save()
      })
      // It has ended, or says why when it is needed.
      .catch(() => {})
  }

  /** Has one ready for the next crash, with the mounts as they are. */
  static prepare(m: ManagedMount): void {
    if (m.standby !== null || m.mount === null || !isServed(m)) return
    m.standby = new Standby(m, mountTable(), m.mount.device)
  }

  /** The host's mounts have changed: what is a copy of them must not keep those that have gone. */
  static renew(m: ManagedMount): void {
    if (m.standby === null || m.standby.table === mountTable()) return
    m.standby.end()
    m.standby = null
    setTimeout(() => m.guard(() => Standby.prepare(m)), SETTLING_MS).unref()
  }

  /** The one that waits, if its namespace is as one that would be made now. */
  static take(m: ManagedMount, table: string): Waiting | null {
    const { standby } = m
    m.standby = null
    if (standby === null) return null
    const { launched, namespace, asker } = standby
    if (standby.table === table && launched.child.isRunning) return { launched, namespace, asker }
    standby.end()
    return null
  }

  end(): void {
    this.namespace?.close()
    this.asker?.end()
    this.launched.word.destroy()
    this.launched.child.kill()
  }
}

/** A process on its way to a namespace without the mount, with the host's mounts as the table has them. */
export function launchNext({ path, options }: ManagedMount, table: string, device: string): IsolatedLaunched {
  const { argv, cwd, env } = options
  const detach = mountpointsOf(parseMountinfo(table), device)
  return launchIsolated({ path, argv, cwd, env, channel: null, detach })
}

const isServed = ({ state }: ManagedMount): boolean => state === 'serving' || state === 'healing'
