// Waiting in one thread for a descriptor and for libuv at once. libuv's own epoll descriptor can be polled like any
// other: it is readable when the event loop has something to do, as a signal handler to run.
import { readdirSync, readlinkSync } from 'node:fs'
import { rawSyscall } from './ffi.js'
import { allocate } from './memory.js'

const POLLIN = 1
const ENTRY = 8

/**
 * Waits for any of a fixed set of descriptors. Source: poll(2).
 */
export class Readiness {
  private readonly entries
  private readonly timeout = allocate(16)
  private readonly count: number

  constructor(fds: readonly number[]) {
    this.count = fds.length
    this.entries = allocate(ENTRY * fds.length)
    for (const [i, fd] of fds.entries()) {
      this.entries.view.setInt32(ENTRY * i, fd, true)
      this.entries.view.setInt16(ENTRY * i + 4, POLLIN, true)
    }
  }

  /** Blocks until one is ready; false if a signal came first. */
  wait(): boolean {
    return rawSyscall('ppoll', this.entries.address, this.count, 0, 0, 0) > 0
  }

  /** Looks without blocking. */
  look(): boolean {
    return rawSyscall('ppoll', this.entries.address, this.count, this.timeout.address, 0, 0) > 0
  }

  /** True if the last wait or look found anything of the descriptor at `index`, an error included. */
  ready(index: number): boolean {
    return this.entries.view.getInt16(ENTRY * index + 6, true) !== 0
  }
}

/** The epoll descriptors of this process: the event loop's, and those of Node's other threads. */
export function eventLoopFds(): number[] {
  const found: number[] = []
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${name}`) === 'anon_inode:[eventpoll]') found.push(Number(name))
    } catch {
      // the descriptor that the listing itself used is gone
    }
  }
  return found
}
