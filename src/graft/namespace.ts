// The mount namespace of a life, kept open: it can be looked at and reached into whichever of the life's processes end.
import { closeSync, openSync, readSync } from 'node:fs'
import { devicesIn, fuseMountsIn, type Mount, mountTable } from '../kernel/mountinfo.js'
import { duplicateFd } from '../native/descriptor.js'
import { failedWith } from '../native/error.js'
import { asyncSyscall } from '../native/ffi.js'
import { openFlags } from '../native/open-flags.js'
import { pollEvents } from '../native/poll.js'
import type { Fd, Pid } from '../native/types.js'
import type { Unwatch, Watcher } from '../native/watch.js'
import { GraftError } from './error.js'

const { O_PATH, O_DIRECTORY, O_CLOEXEC } = openFlags
const CHUNK = 65_536

export class Namespace {
  private isOpen = true

  private constructor(
    private readonly table: number,
    private readonly root: number,
  ) {}

  /** That of a process; as long as it is open, its mounts live on. The caller closes it. @throws GraftError `ended` */
  static of(pid: Pid): Namespace {
    const opened: number[] = []
    const opening = (path: string, flags: number): number => {
      const fd = openSync(path, flags)
      opened.push(fd)
      return fd
    }
    try {
      const root = opening(`/proc/${pid}/root`, O_PATH | O_DIRECTORY | O_CLOEXEC)
      return new Namespace(opening(`/proc/${pid}/mountinfo`, O_CLOEXEC), root)
    } catch (error) {
      for (const fd of opened) closeSync(fd)
      if (!failedWith(error, 'ENOENT', 'ESRCH', 'EINVAL')) throw error
      throw new GraftError('ended', pid, undefined, { cause: error })
    }
  }

  /** The same, to be closed by itself. */
  copy(): Namespace {
    return new Namespace(duplicateFd(this.table as Fd), duplicateFd(this.root as Fd))
  }

  /**
   * The FUSE mounts that were made in it, in the order they were made; touches none of them. What the host has as well is a copy
   * of a mount of the host's.
   * @param mountpoint where they are, or null for anywhere
   */
  ownMounts(mountpoint: string | null): Mount[] {
    const there = fuseMountsIn(this.mounts()).filter((mount) => mountpoint === null || mount.mountpoint === mountpoint)
    if (there.length === 0) return []
    const host = devicesIn(mountTable())
    return there.filter(({ device }) => !host.has(device))
  }

  private mounts(): string {
    const chunks: Buffer[] = []
    for (let position = 0; ; ) {
      const chunk = Buffer.alloc(CHUNK)
      const length = readSync(this.table, chunk, 0, CHUNK, position)
      if (length === 0) return Buffer.concat(chunks).toString('utf8')
      chunks.push(chunk.subarray(0, length))
      position += length
    }
  }

  /** Calls `notify` each time its mounts have changed since it was opened, or since the last time. */
  watch(watcher: Watcher, notify: () => void): Unwatch {
    return watcher.watch(this.table, pollEvents.POLLPRI, notify)
  }

  /** A path by which any process with rights over us finds what is there at `path`. */
  reach(path: string): string {
    return `/proc/${process.pid}/fd/${this.root}${path}`
  }

  /**
   * May be called again. Whoever lets go of it last has to wait until it has been taken apart, some milliseconds: not this thread.
   * Source: fs/namespace.c, put_mnt_ns and namespace_unlock.
   */
  close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    for (const fd of [this.table, this.root]) void asyncSyscall('close', fd)
  }
}
