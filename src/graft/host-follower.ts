// A life's namespace has copies of the host's mounts. Where these are private, a copy stays when the host's mount is gone,
// and with it the other daemon's connection, or a disk that is to be removed. So what goes on the host is unmounted in the
// life's namespace too, unless the life uses it.
import { closeSync, openSync, readlinkSync } from 'node:fs'
import { executable } from '../elf/executable.js'
import { startChild } from '../kernel/children.js'
import { type Mount, mountTable, parseMountinfo, readMounts } from '../kernel/mountinfo.js'
import type { Pid } from '../native/types.js'

export class HostFollower {
  /** What is or was on the host, and so may be in the life's namespace as a copy; null until that is needed. */
  private known: Set<string> | null = null
  private running: Promise<void> | null = null
  private again = false

  /**
   * @param lifePid a process of the life, null when there is none
   * @param table the host's mounts before the life got its namespace
   */
  constructor(
    private readonly lifePid: () => Pid | null,
    private readonly table: string = mountTable(),
  ) {}

  /** The host's mount table has changed. Resolves when the life's is as it. */
  hostChanged(): Promise<void> {
    this.again = true
    this.running ??= this.run().finally(() => {
      this.running = null
    })
    return this.running
  }

  /** Resolves when nothing is being done. */
  get idle(): Promise<void> {
    return this.running ?? Promise.resolve()
  }

  private async run(): Promise<void> {
    while (this.again) {
      this.again = false
      const pid = this.lifePid()
      const host = keysOf(readMounts())
      const gone = pid === null ? [] : this.copies(pid).filter((mount) => !host.has(keyOf(mount)))
      if (pid !== null && gone.length > 0) await unmountIn(pid, gone.map(({ mountpoint }) => mountpoint).reverse())
      // A device number is given again when nobody has it any more: what has gone must not be taken for a later mount.
      const left = pid === null ? [] : this.copies(pid)
      this.known = new Set([...host, ...left.map(keyOf)])
    }
  }

  /** Those of the life's mounts that are copies, and lie on top of others at the same place. */
  private copies(pid: Pid): Mount[] {
    const mounts = mountsOf(pid)
    this.known ??= keysOf(parseMountinfo(this.table))
    const { known } = this
    const top = new Map(mounts.map((mount) => [mount.mountpoint, mount]))
    return mounts.filter((mount) => top.get(mount.mountpoint) === mount && known.has(keyOf(mount)))
  }
}

const keyOf = ({ device, root, mountpoint }: Mount): string => JSON.stringify([device, root, mountpoint])
const keysOf = (mounts: readonly Mount[]): Set<string> => new Set(mounts.map(keyOf))

function mountsOf(pid: Pid): Mount[] {
  try {
    return readMounts(pid)
  } catch {
    return []
  }
}

/** Those that are in use there stay. */
async function unmountIn(pid: Pid, mountpoints: readonly string[]): Promise<void> {
  let namespace: number
  try {
    namespace = openSync(`/proc/${pid}/ns/mnt`, 'r')
  } catch {
    return
  }
  try {
    // A life that has just been started may still be in ours, where nothing is a copy.
    if (readlinkSync(`/proc/self/fd/${namespace}`) === readlinkSync('/proc/self/ns/mnt')) return
    const child = startChild({
      program: executable('detach'),
      argv: ['keepmount-detach', ...mountpoints],
      cwd: '/',
      env: {},
      fds: [null, null, null, namespace],
    })
    // The last one to unmount a file system waits for it: no longer than we do.
    const timer = setTimeout(() => child.kill(), UNMOUNT_DEADLINE_MS)
    await child.ended
    clearTimeout(timer)
  } finally {
    closeSync(namespace)
  }
}

const UNMOUNT_DEADLINE_MS = 5000
