// Looking at one file descriptor, now or within a bound: ppoll(2) on the calling thread.
import { rawSyscall } from './ffi.js'

/** Events of poll(2). POLLERR, POLLHUP and POLLNVAL come unasked. */
export const pollEvents = { POLLIN: 1, POLLPRI: 2, POLLERR: 8, POLLHUP: 16, POLLNVAL: 32 } as const

/** The events that are there within `timeoutMs`, 0 for none. Blocks this thread for that long at most. */
export function pollOnce(fd: number, events: number, timeoutMs = 0): number {
  pollfd.writeInt32LE(fd, 0)
  pollfd.writeInt32LE(events, 4)
  timespec.writeBigInt64LE(BigInt(Math.floor(timeoutMs / 1000)), 0)
  timespec.writeBigInt64LE(BigInt(Math.floor((timeoutMs % 1000) * 1e6)), 8)
  return rawSyscall('ppoll', pollfd, 1, timespec, 0, 0) === 1 ? pollfd.readInt16LE(6) : 0
}

const pollfd = Buffer.alloc(8)
const timespec = Buffer.alloc(16)
