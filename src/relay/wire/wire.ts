// The relay's two ends, message by message: the kernel's channel and the socket that the daemon believes to be it. Nothing
// here blocks except `next` and `wait`.
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { rawSyscall } from '../../native/ffi.js'
import { addStatusFlags } from '../../native/files.js'
import { allocate, type Block } from '../../native/memory.js'
import { openFlags } from '../../native/open-flags.js'
import { borrowPages, partFrom, returnPages } from '../../native/pages.js'
import { pollEvents } from '../../native/poll.js'
import { Patience } from './patience.js'
import { outcomes, Pump } from './pump.js'

/** Why a relay ended by itself. */
export class Ended extends Error {
  constructor(
    /** `daemon`: its end of the socket is closed. `channel`: unmounted or aborted. */
    readonly by: 'daemon' | 'channel' | 'stopped',
  ) {
    super(`the relay ended: ${by}`)
  }
}

/** The most data in one message: what the kernel asks for at most unless fs.fuse.max_pages_limit is raised. */
export const MOST_DATA = 1 << 20
/** A message of so much data, and its headers. Pages that no message needs are never touched. */
export const MESSAGE_SIZE = MOST_DATA + (1 << 16)
/** What fs.fuse.max_pages_limit can be raised to is 65,535 pages. */
const LARGEST_REQUEST = 1 << 29
const PAGE = 4096
const POLLOUT = 4
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
const ENOBUFS = 105

/** Which ends have something. */
export const ends = { channel: 1, daemon: 2, control: 4, resolver: 8, writable: 16, prober: 32, purger: 64 } as const
/** Their places among what is polled. */
const places = { channel: 0, daemon: 1, control: 2, resolver: 3, prober: 4, purger: 5 } as const
const POLLED_COUNT = 6
const POLLFD_SIZE = 8

/** What became of a message that was written late, see `Wire.later`. */
export interface Late {
  /** The daemon's queue had no room for a request of so many bytes, which is still in `request`. */
  unsentNow(length: number): void
  /** The kernel did not wait for the answer any more. */
  unwanted(): void
}

export class Wire {
  /** What the kernel asks. */
  request: Block = borrowPages(MESSAGE_SIZE)
  /**
   * What the daemon answers, data at the beginning of a page: so it lies in the socket and in the kernel's cache, and the
   * processor copies many times slower to where it is a few bytes further into a page (AMD's `rep movsb` took 45 us instead
   * of 3 for 128 kB).
   */
  readonly reply: Block
  /** How long the message is that `next` has brought. */
  length = 0
  /** True when there is something to be told to the relay's thread. */
  isTold = false
  /** Told what became of what `later` was given. */
  late: Late | null = null
  private readonly replyPages = borrowPages(PAGE + MESSAGE_SIZE)
  private readonly pump: Pump
  private readonly answerPatience = new Patience()
  private readonly requestPatience = new Patience()
  private isDaemonOnly = false
  private hasLate = false
  private lateLength = 0
  private lateIsSocket = false
  private readonly drained = allocate(8)
  private readonly polled = allocate(POLLFD_SIZE * POLLED_COUNT)
  private readonly timeout = allocate(16)

  /**
   * @param control readable when there is something to be told to the relay's thread
   * @param resolver the socket of the resolver, or -1
   * @param code where the machine code of the pump is mapped, or null
   */
  constructor(
    private readonly channel: number,
    private readonly daemon: number,
    private readonly control: number,
    private resolver: number,
    code: number | null = null,
  ) {
    for (const fd of [channel, daemon]) addStatusFlags(fd, openFlags.O_NONBLOCK)
    enlarge(daemon)
    this.reply = partFrom(this.replyPages, PAGE - OUT_HEADER_SIZE)
    const pump = new Pump(code)
    pump.set('out', -1)
    pump.set('socket', daemon)
    pump.set('replyAddress', this.reply.address)
    pump.set('replySize', this.reply.bytes.length)
    pump.watch(places.daemon, daemon, pollEvents.POLLIN)
    pump.watch(places.control, control, pollEvents.POLLIN)
    this.pump = pump
    this.listen(false)
    this.knowRequest()
  }

  /** A daemon reads its channel blocking, and its copy is the same open file. */
  setChannelBlocking(isBlocking: boolean): void {
    const flags = rawSyscall('fcntl', this.channel, F_GETFL)
    const { O_NONBLOCK } = openFlags
    rawSyscall('fcntl', this.channel, F_SETFL, isBlocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK)
  }

  /** Ends its use: gives the memory of the messages back. */
  close(): void {
    returnPages(this.request)
    returnPages(this.replyPages)
  }

  /** Nothing comes from the resolver any more. */
  dropResolver(): void {
    this.resolver = -1
    this.listen(this.isDaemonOnly)
  }

  /** The length of the next request, now in `request`; 0 if there is none. @throws Ended */
  readRequest(): number {
    this.flush()
    return this.requestLength(rawSyscall('read', this.channel, this.request.address, this.request.bytes.length))
  }

  /** The length of the daemon's next message, now in `reply`; 0 if there is none. @throws Ended */
  readReply(): number {
    this.flush()
    return replyLength(rawSyscall('read', this.daemon, this.reply.address, this.reply.bytes.length))
  }

  /** Puts a request that was kept where the next one would come. */
  put(bytes: Uint8Array): void {
    this.flush()
    this.request.bytes.set(bytes)
  }

  /** Puts an answer that was kept where the next one would come. */
  putReply(bytes: Uint8Array): void {
    this.flush()
    this.reply.bytes.set(bytes)
  }

  /** Sends a message to the daemon. False if its queue is full. @throws Ended */
  send(address: number, length: number): boolean {
    this.flush()
    return isSent(rawSyscall('sendto', this.daemon, address, length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0))
  }

  /** Answers the kernel. 0 if it took it, else a negative errno: ENOENT where nobody waits for it any more. */
  answer(address: number, length: number): number {
    this.flush()
    const written = rawSyscall('write', this.channel, address, length)
    return Math.min(written, 0)
  }

  /** Answers the kernel with what was kept. */
  give(message: Buffer): void {
    this.flush()
    rawSyscall('write', this.channel, message, message.length)
  }

  /**
   * Sends what is in `request`, or gives what is in `reply` as an answer, before anything else is done here; what becomes
   * of it, `late` is told. Until then the bytes stay as they are.
   */
  later(to: 'daemon' | 'channel', length: number): void {
    this.flush()
    const isSocket = to === 'daemon'
    this.hasLate = true
    this.lateLength = length
    this.lateIsSocket = isSocket
    this.pump.set('out', isSocket ? this.daemon : this.channel)
    this.pump.set('outAddress', isSocket ? this.request.address : this.reply.address)
    this.pump.set('outLength', length)
    this.pump.set('outIsSocket', isSocket ? 1 : 0)
  }

  /** Does now what was to be done later. @throws Ended */
  flush(): void {
    if (!this.hasLate) return
    this.hasLate = false
    this.pump.set('out', -1)
    if (!this.lateIsSocket) this.refused(rawSyscall('write', this.channel, this.reply.address, this.lateLength))
    else if (!this.send(this.request.address, this.lateLength)) this.late?.unsentNow(this.lateLength)
  }

  /**
   * Waits for the next message and reads it: `length` says how long it is. Looks for a while before it sleeps.
   * @param isDue true if the daemon owes an answer
   * @param isDaemonOnly true if requests have to wait
   * @returns which of `ends` have something; of the channel and the daemon, only the one that was read. @throws Ended
   */
  next(isDue: boolean, isDaemonOnly = false): number {
    const { pump } = this
    const patience = isDue ? this.answerPatience : this.requestPatience
    const rounds = patience.rounds()
    if (isDaemonOnly !== this.isDaemonOnly) this.listen(isDaemonOnly)
    pump.set('rounds', rounds)
    const outcome = pump.run()
    if (outcome === outcomes.refused) {
      this.hasLate = false
      const { lateLength } = this
      if (!this.lateIsSocket) this.refused(pump.get('length'))
      else if (!isSent(pump.get('length'))) this.late?.unsentNow(lateLength)
      // What could not be sent is in the way of the next request.
      return 0
    }
    this.hasLate = false
    if (outcome !== outcomes.woken) patience.learn(rounds, pump.get('rounds'))
    if (outcome === outcomes.reply) {
      this.length = replyLength(pump.get('length'))
      return this.length > 0 ? ends.daemon : 0
    }
    if (outcome === outcomes.request) {
      this.length = this.requestLength(pump.get('length'))
      return this.length > 0 ? ends.channel : 0
    }
    // A signal came, and nothing was looked at.
    if (pump.get('length') <= 0) return 0
    const isControl = pump.found(places.control) !== 0
    if (isControl) this.drain()
    return (isControl ? ends.control : 0) | (pump.found(places.resolver) ? ends.resolver : 0)
  }

  /**
   * Waits for one of `wanted` (bits of `ends`); what happens to the control end always counts.
   * @param timeoutMs negative for no limit
   * @param prober the sockets of the companions for which `next` does not wait; -1 for none
   * @returns those that are there, 0 after the timeout
   */
  wait(wanted: number, timeoutMs: number, prober = -1, purger = -1): number {
    this.flush()
    const { view, address } = this.polled
    this.entry(places.channel, wanted & ends.channel ? this.channel : -1, pollEvents.POLLIN)
    const daemonEvents = (wanted & ends.daemon ? pollEvents.POLLIN : 0) | (wanted & ends.writable ? POLLOUT : 0)
    this.entry(places.daemon, daemonEvents === 0 ? -1 : this.daemon, daemonEvents)
    this.entry(places.control, this.control, pollEvents.POLLIN)
    this.entry(places.resolver, wanted & ends.resolver ? this.resolver : -1, pollEvents.POLLIN)
    this.timeout.view.setUint32(0, Math.max(0, Math.floor(timeoutMs / 1000)), true)
    this.timeout.view.setUint32(8, Math.max(0, Math.floor((timeoutMs % 1000) * 1e6)), true)
    this.entry(places.prober, prober, pollEvents.POLLIN)
    this.entry(places.purger, purger, pollEvents.POLLIN)
    const count = rawSyscall('ppoll', address, POLLED_COUNT, timeoutMs >= 0 ? this.timeout.address : 0, 0, 0)
    if (count <= 0) return 0
    const daemon = view.getUint16(14, true)
    if (view.getUint16(22, true)) this.drain()
    return (
      (view.getUint16(6, true) ? ends.channel : 0) |
      (daemon & ~POLLOUT ? ends.daemon : 0) |
      (daemon & POLLOUT ? ends.writable : 0) |
      (view.getUint16(22, true) ? ends.control : 0) |
      (view.getUint16(30, true) ? ends.resolver : 0) |
      (view.getUint16(38, true) ? ends.prober : 0) |
      (view.getUint16(46, true) ? ends.purger : 0)
    )
  }

  private entry(index: number, fd: number, events: number): void {
    this.polled.view.setInt32(POLLFD_SIZE * index, fd, true)
    this.polled.view.setUint32(POLLFD_SIZE * index + 4, events, true)
  }

  /** @param isDaemonOnly nothing but the daemon and what is told counts */
  private listen(isDaemonOnly: boolean): void {
    this.isDaemonOnly = isDaemonOnly
    this.pump.set('channel', isDaemonOnly ? -1 : this.channel)
    this.pump.watch(places.channel, isDaemonOnly ? -1 : this.channel, pollEvents.POLLIN)
    this.pump.watch(places.resolver, isDaemonOnly ? -1 : this.resolver, pollEvents.POLLIN)
  }

  private drain(): void {
    rawSyscall('read', this.control, this.drained.address, 8)
    this.isTold = true
  }

  private refused(written: number): void {
    if (written === -ENOENT) this.late?.unwanted()
  }

  private requestLength(length: number): number {
    if (length > 0) return length
    if (length === -EINVAL && this.request.bytes.length < LARGEST_REQUEST) {
      // The buffer has to hold the largest request of this connection.
      const size = this.request.bytes.length * 4
      returnPages(this.request)
      this.request = borrowPages(size)
      this.knowRequest()
      return this.readRequest()
    }
    if (length === -EAGAIN || length === -EINTR || length === -ENOENT) return 0
    throw new Ended('channel')
  }

  private knowRequest(): void {
    this.pump.set('requestAddress', this.request.address)
    this.pump.set('requestSize', this.request.bytes.length)
  }
}

function replyLength(length: number): number {
  if (length > 0) return length
  if (length === -EAGAIN || length === -EINTR) return 0
  throw new Ended('daemon')
}

function isSent(sent: number): boolean {
  if (sent >= 0) return true
  // ENOBUFS: there is no memory in one row for it just now. Source: net/core/sock.c, sock_alloc_send_pskb.
  if (sent === -EAGAIN || sent === -EINTR || sent === -ENOBUFS) return false
  if (sent === -EPIPE || sent === -ECONNRESET) throw new Ended('daemon')
  throw new Error(`sendto the daemon's socket: errno ${-sent}`)
}

/** Makes room in a socket for several of the largest messages, above the user's limit if we may. Source: socket(7). */
export function enlarge(fd: number): void {
  const size = Buffer.alloc(4)
  size.writeInt32LE(4 * MESSAGE_SIZE)
  if (rawSyscall('setsockopt', fd, SOL_SOCKET, SO_SNDBUFFORCE, size, 4) < 0)
    rawSyscall('setsockopt', fd, SOL_SOCKET, SO_SNDBUF, size, 4)
}
