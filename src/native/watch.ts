// Waiting for file descriptors that libuv cannot watch (pidfds, mountinfo): one ppoll(2) on a thread of libuv's pool for
// all of them, woken through an eventfd when the set changes. Nothing runs while nothing happens.
import { closeFd } from './descriptor.js'
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

export class Watcher {
  private readonly wakeup = syscall('eventfd2', 'a wake-up', 0, EFD_CLOEXEC | EFD_NONBLOCK) as Fd
  private readonly watched = new Map<number, { fd: Fd | number; events: number; notify: (revents: number) => void }>()
  private readonly count = Buffer.alloc(8)
  private next = 0
  private polling = false
  private closed = false
  // A thread of the pool that still blocks would keep the process from exiting.
  private readonly wakeAtExit = () => this.wake()

  constructor() {
    process.on('exit', this.wakeAtExit)
  }

  /**
   * Calls `notify` with the returned events each time one of `events` is there. The caller unwatches what stays ready,
   * and before it closes the fd. As long as something is watched, the process stays alive.
   */
  watch(fd: Fd | number, events: number, notify: (revents: number) => void): Unwatch {
    const key = this.next++
    this.watched.set(key, { fd, events, notify })
    this.changed()
    return () => {
      if (this.watched.delete(key)) this.changed()
    }
  }

  /** Ends all watches. */
  close(): void {
    this.closed = true
    this.watched.clear()
    this.changed()
  }

  private changed(): void {
    if (this.polling) this.wake()
    else if (this.closed) this.release()
    else void this.poll()
  }

  private wake(): void {
    if (this.polling) rawSyscall('write', this.wakeup, ONE, 8)
  }

  private async poll(): Promise<void> {
    this.polling = true
    while (this.watched.size > 0) {
      const entries = [...this.watched]
      const set = Buffer.alloc(POLLFD_SIZE * (entries.length + 1))
      set.writeInt32LE(this.wakeup, 0)
      set.writeInt16LE(pollEvents.POLLIN, 4)
      for (const [i, [, { fd, events }]] of entries.entries()) {
        set.writeInt32LE(fd, POLLFD_SIZE * (i + 1))
        set.writeInt16LE(events, POLLFD_SIZE * (i + 1) + 4)
      }
      // -1 is an interrupted call: the set holds no events then.
      const ready = await asyncSyscall('ppoll', set, entries.length + 1, 0, 0, 0)
      rawSyscall('read', this.wakeup, this.count, 8)
      if (ready <= 0) continue
      for (const [i, [key, entry]] of entries.entries()) {
        const revents = set.readInt16LE(POLLFD_SIZE * (i + 1) + 6)
        if (revents !== 0 && this.watched.get(key) === entry) entry.notify(revents)
        else if (revents & pollEvents.POLLPRI) this.passOn(entry.fd, revents)
      }
    }
    this.polling = false
    if (this.closed) this.release()
  }

  /**
   * A descriptor was closed, and another opened by the same number, while this poll still ran. The kernel tells of a changed
   * mount table only once, and has told it to the wrong one.
   */
  private passOn(fd: number, revents: number): void {
    for (const entry of [...this.watched.values()])
      if (entry.fd === fd && entry.events & pollEvents.POLLPRI) entry.notify(revents)
  }

  private release(): void {
    process.off('exit', this.wakeAtExit)
    closeFd(this.wakeup)
  }
}
