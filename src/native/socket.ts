// AF_UNIX socket pairs that carry messages with borders, and open files beside them (SCM_RIGHTS, unix(7)).
//
//   struct msghdr: | name | namelen | iov | iovlen | control | controllen | flags |     8 bytes each
//   struct cmsghdr: | u64 len | i32 level | i32 type | fds, 4 bytes each |
import { closeFd } from './descriptor.js'
import { SyscallError } from './error.js'
import { rawSyscall, writePointer } from './ffi.js'
import { syscall } from './syscall.js'
import type { Fd } from './types.js'

const AF_UNIX = 1
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const SOCK_CLOEXEC = 0o2000000
const types = { stream: 1, dgram: 2, seqpacket: 5 } as const
const MSG_CTRUNC = 0x8
const MSG_TRUNC = 0x20
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const MSG_CMSG_CLOEXEC = 0x40000000
const POLLIN = 1
const EINTR = 4
const EAGAIN = 11
const HEADER_SIZE = 56
const IOVEC_SIZE = 16
const CMSG_HEADER = 16
/** Linux passes no more at once: SCM_MAX_FD of include/net/scm.h. */
const MOST_FDS = 253
const MESSAGE_SIZE = 64 * 1024

/** Two connected sockets. @throws SyscallError, EMFILE without a free fd */
export function socketpair(type: keyof typeof types): [Fd, Fd] {
  const pair = Buffer.alloc(8)
  syscall('socketpair', type, AF_UNIX, types[type] | SOCK_CLOEXEC, 0, pair)
  return [pair.readInt32LE(0) as Fd, pair.readInt32LE(4) as Fd]
}

/**
 * Sends one message, and open files with it; they stay ours as well. Never waits.
 * @throws SyscallError, EAGAIN if the other end's queue is full, ECONNREFUSED or EPIPE if it is gone
 */
export function sendMessage(fd: Fd, bytes: Buffer, fds: readonly Fd[] = []): void {
  const control = Buffer.alloc(fds.length === 0 ? 0 : CMSG_HEADER + 4 * fds.length)
  if (control.length > 0) {
    control.writeBigUInt64LE(BigInt(control.length), 0)
    control.writeInt32LE(SOL_SOCKET, 8)
    control.writeInt32LE(SCM_RIGHTS, 12)
    for (const [i, each] of fds.entries()) control.writeInt32LE(each, CMSG_HEADER + 4 * i)
  }
  outgoing.point(bytes, control)
  syscall('sendmsg', `fd ${fd}`, fd, outgoing.header, MSG_DONTWAIT | MSG_NOSIGNAL)
}

/** A message that came. */
export interface Received {
  readonly bytes: Buffer
  /** Open files that came with it: now ours, CLOEXEC. */
  readonly fds: readonly Fd[]
}

/**
 * The next message, waited for at most `deadlineMs`; null if none came. 0 bytes from a seqpacket socket: the other end
 * is closed. What was cut is refused as a whole, and the open files it brought are closed.
 * @throws SyscallError, EMSGSIZE for a message of more than 64 kB or one whose open files found no place
 */
export function receive(fd: Fd, deadlineMs: number): Received | null {
  const until = performance.now() + deadlineMs
  for (;;) {
    if (!readable([fd], until - performance.now()).includes(fd)) return null
    const received = receiveNow(fd)
    if (received !== null) return received
  }
}

/** The next message if one is there already. Otherwise as `receive`. */
export function receiveNow(fd: Fd): Received | null {
  const control = Buffer.alloc(CMSG_HEADER + 4 * MOST_FDS)
  incoming.point(buffer, control)
  const size = rawSyscall('recvmsg', fd, incoming.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
  if (size === -EAGAIN || size === -EINTR) return null
  if (size < 0) throw new SyscallError('recvmsg', -size, `fd ${fd}`)
  const fds = incoming.fds()
  if (incoming.flags & (MSG_TRUNC | MSG_CTRUNC)) {
    for (const each of fds) closeFd(each)
    throw new SyscallError('recvmsg', EMSGSIZE, `fd ${fd}`)
  }
  return { bytes: Buffer.from(buffer.subarray(0, size)), fds }
}
const EMSGSIZE = 90
const buffer = Buffer.alloc(MESSAGE_SIZE)

/**
 * Waits until one of the fds has something to read, its other end is closed, or, for a pidfd, the process has ended.
 * @param timeoutMs 0 or less only looks
 * @returns those fds; none after the timeout
 */
export function readable(fds: readonly Fd[], timeoutMs: number): Fd[] {
  const until = performance.now() + timeoutMs
  const entries = Buffer.alloc(8 * fds.length)
  for (const [i, fd] of fds.entries()) {
    entries.writeInt32LE(fd, 8 * i)
    entries.writeInt16LE(POLLIN, 8 * i + 4)
  }
  const timeout = Buffer.alloc(16)
  for (;;) {
    const left = Math.max(0, until - performance.now())
    timeout.writeBigInt64LE(BigInt(Math.floor(left / 1000)), 0)
    timeout.writeBigInt64LE(BigInt(Math.floor((left % 1000) * 1e6)), 8)
    const count = rawSyscall('ppoll', entries, fds.length, timeout, 0, 0)
    if (count >= 0) return fds.filter((_, i) => entries.readInt16LE(8 * i + 6) !== 0)
    if (count !== -EINTR) throw new SyscallError('ppoll', -count, `fds ${fds.join(', ')}`)
  }
}

const none: Buffer = Buffer.alloc(0)

/**
 * A struct msghdr for one buffer. It is made once and never freed, and keeps what it points to: a pointer that is written into
 * a struct keeps nothing alive, and a collection may come between that and the system call.
 */
class MessageHeader {
  readonly header = Buffer.alloc(HEADER_SIZE)
  private readonly vector = Buffer.alloc(IOVEC_SIZE)
  private bytes: Buffer = none
  private control: Buffer = none

  point(bytes: Buffer, control: Buffer): void {
    this.bytes = bytes
    this.control = control
    this.header.fill(0)
    this.vector.fill(0)
    if (bytes.length > 0) writePointer(this.vector, 0, this.bytes)
    this.vector.writeBigUInt64LE(BigInt(bytes.length), 8)
    writePointer(this.header, 16, this.vector)
    this.header.writeBigUInt64LE(1n, 24)
    if (control.length > 0) writePointer(this.header, 32, this.control)
    this.header.writeBigUInt64LE(BigInt(control.length), 40)
  }

  get flags(): number {
    return this.header.readInt32LE(48)
  }

  /** The fds that the kernel wrote into the control buffer. */
  fds(): Fd[] {
    const { control } = this
    const end = Math.min(Number(this.header.readBigUInt64LE(40)), control.length)
    const found: Fd[] = []
    for (let at = 0; at + CMSG_HEADER <= end; ) {
      const length = Number(control.readBigUInt64LE(at))
      if (length < CMSG_HEADER) break
      const isRights = control.readInt32LE(at + 8) === SOL_SOCKET && control.readInt32LE(at + 12) === SCM_RIGHTS
      for (let i = at + CMSG_HEADER; isRights && i + 4 <= at + length; i += 4) found.push(control.readInt32LE(i) as Fd)
      at += (length + 7) & ~7
    }
    return found
  }
}

const outgoing = new MessageHeader()
const incoming = new MessageHeader()
