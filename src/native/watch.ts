// Waiting for file descriptors that libuv cannot watch (pidfds, mountinfo): one ppoll(2) on a thread of libuv's pool for
// all of them, woken through an eventfd when the set changes. Nothing runs while nothing happens.
//
// A poll that still runs looks its files up by their numbers again each time it is woken. A number that its caller has
// closed by then could mean another file, and the kernel tells of a changed mount table only once: to whoever polls it. So
// what is polled are copies of ours, and a copy is closed when no poll runs that has its number.
import { closeFd, duplicateFd } from './descriptor.js'
import { asyncSyscall, rawSyscall } from './ffi.js'
import { pollEvents } from './poll.js'
import { syscall } from './syscall.js'
import type { Fd } from './types.js'

const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000
const POLLFD_SIZE = 8
const ONE = Buffer.from(BigUint64Array.of(1n).buffer)

/** Ends the watch of one file descriptor. May be called again. */
export type Unwatch = () => void

interface Watched {
  /** The copy that is polled. */
  readonly fd: Fd
  readonly events: number
  readonly notify: (revents: number) => void
}

export class Watcher {
  private readonly wakeup = syscall('eventfd2', 'a wake-up', 0, EFD_CLOEXEC | EFD_NONBLOCK) as Fd
  private readonly watched = new Set<Watched>()
  /** Copies that nobody wants any more, and that a running poll may have. */
  private readonly discarded: Fd[] = []
  private readonly count = Buffer.alloc(8)
  private polling = false
  private closed = false
  // A thread of the pool that still blocks would keep the process from exiting.
  private readonly wakeAtExit = () => this.wake()

  constructor() {
    process.on('exit', this.wakeAtExit)
  }

  /**
   * Calls `notify` with the returned events each time one of `events` is there; of a mount table also for a change since it
   * was opened. The caller unwatches what stays ready, and what it closes. As long as something is watched, the process
   * stays alive.
   * @throws SyscallError, EMFILE
   */
  watch(fd: Fd | number, events: number, notify: (revents: number) => void): Unwatch {
    const entry = { fd: duplicateFd(fd as Fd), events, notify }
    this.watched.add(entry)
    this.changed()
    return () => {
      if (this.watched.has(entry)) this.discard(entry)
    }
  }

  /** Ends all watches. */
  close(): void {
    this.closed = true
    for (const entry of [...this.watched]) this.discard(entry)
    if (!this.polling) this.release()
  }

  private discard(entry: Watched): void {
    this.watched.delete(entry)
    this.discarded.push(entry.fd)
    this.changed()
  }

  private changed(): void {
    if (this.polling) this.wake()
    else if (this.watched.size > 0) void this.poll()
    else this.closeDiscarded()
  }

  private wake(): void {
    if (this.polling) rawSyscall('write', this.wakeup, ONE, 8)
  }

  private async poll(): Promise<void> {
    this.polling = true
    while (this.watched.size > 0) {
      this.closeDiscarded()
      const entries = [...this.watched]
      const set = Buffer.alloc(POLLFD_SIZE * (entries.length + 1))
      set.writeInt32LE(this.wakeup, 0)
      set.writeInt16LE(pollEvents.POLLIN, 4)
      for (const [i, { fd, events }] of entries.entries()) {
        set.writeInt32LE(fd, POLLFD_SIZE * (i + 1))
        set.writeInt16LE(events, POLLFD_SIZE * (i + 1) + 4)
      }
      // -1 is an interrupted call: the set holds no events then.
      const ready = await asyncSyscall('ppoll', set, entries.length + 1, 0, 0, 0)
      rawSyscall('read', this.wakeup, this.count, 8)
      if (ready <= 0) continue
      for (const [i, entry] of entries.entries()) {
        const revents = set.readInt16LE(POLLFD_SIZE * (i + 1) + 6)
        if (revents !== 0 && this.watched.has(entry)) entry.notify(revents)
      }
    }
    this.polling = false
    this.closeDiscarded()
    if (this.closed) this.release()
  }

  private closeDiscarded(): void {
    for (const fd of this.discarded.splice(0)) closeFd(fd)
  }

  private release(): void {
    process.off('exit', this.wakeAtExit)
    closeFd(this.wakeup)
  }
}
