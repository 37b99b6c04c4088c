// The next life of a stock daemon, as far as it can be made before it is needed: a process in a mount namespace of its own, in
// which the old mount is not there, and that waits for the word to become the daemon. A namespace is a copy of the mounts as
// they were: once these have changed on the host, another one is made.
import { type IsolatedLaunched, launchIsolated, mountpointsOf } from '../graft/isolated-launch.js'
import { mountTable, parseMountinfo } from '../kernel/mountinfo.js'
import type { ManagedMount } from './managed-mount.js'

/** What is mounted one after the other is waited for, so that a script that mounts ten things costs one process and not ten. */
const SETTLING_MS = 100

export class Standby {
  private readonly launched: IsolatedLaunched

  private constructor(
    m: ManagedMount,
    /** The host's mounts when it was made. */
    private readonly table: string,
    device: string,
  ) {
    const { argv, cwd, env } = m.options
    const detach = mountpointsOf(parseMountinfo(table), device)
    this.launched = launchIsolated({ path: m.path, argv, cwd, env, channel: null, detach })
    this.launched.child.unref()
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

  /** The process that waits, if there is one and its namespace is as one that would be made now. It is the caller's. */
  static take(m: ManagedMount, table: string): IsolatedLaunched | null {
    const { standby } = m
    m.standby = null
    if (standby === null) return null
    if (standby.table === table && standby.launched.child.isRunning) return standby.launched
    standby.end()
    return null
  }

  end(): void {
    this.launched.word.destroy()
    this.launched.child.kill()
  }
}

const isServed = ({ state }: ManagedMount): boolean => state === 'serving' || state === 'healing'
