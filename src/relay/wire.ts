// The relay's two ends, message by message: the kernel's channel and the socket that the daemon believes to be it. Nothing
// here blocks except `wait`, which first looks a few times: going to sleep and being woken costs more than the answer of
// a quick daemon takes.
import { rawSyscall } from '../native/ffi.js'
import { addStatusFlags } from '../native/files.js'
import { allocate, type Block } from '../native/memory.js'
import { openFlags } from '../native/open-flags.js'
import { pollEvents } from '../native/poll.js'

/** Why a relay ended by itself. */
export class Ended extends Error {
  constructor(
    /** `daemon`: its end of the socket is closed. `channel`: unmounted or aborted. */
    readonly by: 'daemon' | 'channel' | 'stopped',
  ) {
    super(`the relay ended: ${by}`)
  }
}

/** A message of a megabyte of data, and its headers. Pages that no message needs are never touched. */
const MESSAGE_SIZE = (1 << 20) + (1 << 16)
/** The kernel's limit is 65,535 pages (fs.fuse.max_pages_limit). */
const LARGEST_MESSAGE = 1 << 29
const POLLOUT = 4
const SPINS = 30
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_SNDBUFFORCE = 32
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const F_GETFL = 3
const F_SETFL = 4

const ENOENT = 2
const EINTR = 4
const EAGAIN = 11
const EINVAL = 22
const EPIPE = 32
const ECONNRESET = 104

/** Which ends have something. */
export const ends = { channel: 1, daemon: 2, control: 4, resolver: 8, writable: 16 } as const

export class Wire {
  /** What the kernel asks. */
  request: Block = allocate(MESSAGE_SIZE)
  /** What the daemon answers. */
  reply: Block = allocate(MESSAGE_SIZE)
  /** True when there is something to be told to the relay's thread. */
  isTold = false
  private readonly drained = allocate(8)
  private readonly polled = allocate(8 * 4)
  private readonly now = allocate(16)
  private readonly timeout = allocate(16)

  /**
   * @param control readable when there is something to be told to the relay's thread
   * @param resolver the socket of the resolver, or -1
   */
  constructor(
    private readonly channel: number,
    private readonly daemon: number,
    private readonly control: number,
    private readonly resolver: number,
  ) {
    for (const fd of [channel, daemon]) addStatusFlags(fd, openFlags.O_NONBLOCK)
    enlarge(daemon)
  }

  /** A daemon reads its channel blocking, and its copy is the same open file. */
  setChannelBlocking(isBlocking: boolean): void {
    const flags = rawSyscall('fcntl', this.channel, F_GETFL)
    const { O_NONBLOCK } = openFlags
    rawSyscall('fcntl', this.channel, F_SETFL, isBlocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK)
  }

  /** The length of the next request, now in `request`; 0 if there is none. @throws Ended */
  readRequest(): number {
    const length = rawSyscall('read', this.channel, this.request.address, this.request.bytes.length)
    if (length > 0) return length
    if (length === -EINVAL && this.request.bytes.length < LARGEST_MESSAGE) {
      // The buffer has to hold the largest request of this connection.
      this.request = allocate(this.request.bytes.length * 4)
      return this.readRequest()
    }
    if (length === -EAGAIN || length === -EINTR || length === -ENOENT) return 0
    throw new Ended('channel')
  }

  /** The length of the daemon's next message, now in `reply`; 0 if there is none. @throws Ended */
  readReply(): number {
    const length = rawSyscall('read', this.daemon, this.reply.address, this.reply.bytes.length)
    if (length > 0) return length
    if (length === -EAGAIN || length === -EINTR) return 0
    throw new Ended('daemon')
  }

  /** Sends a message to the daemon. False if its queue is full. @throws Ended */
  send(address: number, length: number): boolean {
    for (;;) {
      const sent = rawSyscall('sendto', this.daemon, address, length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0)
      if (sent >= 0) return true
      if (sent === -EAGAIN) return false
      if (sent === -EPIPE || sent === -ECONNRESET) throw new Ended('daemon')
      if (sent !== -EINTR) throw new Error(`sendto the daemon's socket: errno ${-sent}`)
    }
  }

  /** Answers the kernel. 0 if it took it, else a negative errno: ENOENT where nobody waits for it any more. */
  answer(address: number, length: number): number {
    const written = rawSyscall('write', this.channel, address, length)
    return Math.min(written, 0)
  }

  /**
   * Waits for one of `wanted` (bits of `ends`); what happens to the control end always counts.
   * @param timeoutMs negative for no limit
   * @returns those that are there, 0 after the timeout
   */
  wait(wanted: number, timeoutMs: number): number {
    const { view, address } = this.polled
    this.entry(0, wanted & ends.channel ? this.channel : -1, pollEvents.POLLIN)
    const daemonEvents = (wanted & ends.daemon ? pollEvents.POLLIN : 0) | (wanted & ends.writable ? POLLOUT : 0)
    this.entry(1, daemonEvents === 0 ? -1 : this.daemon, daemonEvents)
    this.entry(2, this.control, pollEvents.POLLIN)
    this.entry(3, wanted & ends.resolver ? this.resolver : -1, pollEvents.POLLIN)
    let count = 0
    for (let spin = 0; spin < SPINS && count === 0; spin++)
      count = rawSyscall('ppoll', address, 4, this.now.address, 0, 0)
    if (count === 0 && timeoutMs !== 0) {
      if (timeoutMs > 0) {
        this.timeout.view.setUint32(0, Math.floor(timeoutMs / 1000), true)
        this.timeout.view.setUint32(8, Math.floor((timeoutMs % 1000) * 1e6), true)
      }
      count = rawSyscall('ppoll', address, 4, timeoutMs > 0 ? this.timeout.address : 0, 0, 0)
    }
    if (count <= 0) return 0
    const daemon = view.getUint16(14, true)
    if (view.getUint16(22, true)) {
      rawSyscall('read', this.control, this.drained.address, 8)
      this.isTold = true
    }
    return (
      (view.getUint16(6, true) ? ends.channel : 0) |
      (daemon & ~POLLOUT ? ends.daemon : 0) |
      (daemon & POLLOUT ? ends.writable : 0) |
      (view.getUint16(22, true) ? ends.control : 0) |
      (view.getUint16(30, true) ? ends.resolver : 0)
    )
  }

  private entry(index: number, fd: number, events: number): void {
    this.polled.view.setInt32(8 * index, fd, true)
    this.polled.view.setUint32(8 * index + 4, events, true)
  }
}

/** Makes room in a socket for several of the largest messages, above the user's limit if we may. Source: socket(7). */
export function enlarge(fd: number): void {
  const size = Buffer.alloc(4)
  size.writeInt32LE(4 * MESSAGE_SIZE)
  if (rawSyscall('setsockopt', fd, SOL_SOCKET, SO_SNDBUFFORCE, size, 4) < 0)
    rawSyscall('setsockopt', fd, SOL_SOCKET, SO_SNDBUF, size, 4)
}
