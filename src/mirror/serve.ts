// The serving loop: read one request, do it, reply, read the next, all in one thread. So a kill -9 catches at most one
// request between its reading and its reply. When nothing waits, the thread sleeps in poll(2) on the channel and on
// libuv's own epoll descriptor, and gives way to the event loop when that has something to do: a signal's handler.
import { ProtocolError } from '../fuse/error.js'
import { FUSE_UNIQUE_RESEND_HIGH } from '../fuse/flags.js'
import { replyHeader } from '../fuse/message.js'
import { Request } from '../fuse/request.js'
import { read, write } from '../native/files.js'
import { eventLoopFds, Readiness } from '../native/readiness.js'
import { EAGAIN, ECONNABORTED, EINTR, EINVAL, EIO, ENODEV, ENOENT, ENOSYS } from './errno.js'
import { type Mirror, NO_REPLY, type Outcome } from './mirror.js'
import { MAX_MESSAGE, WANTED } from './negotiated.js'
import { type Operation, operations } from './operations.js'
import { sweep } from './sweep.js'

/** How serving ended. */
export type End =
  | { readonly kind: 'unmounted' }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly errno: number }

/** How often the channel is tried again before sleeping: an application that waits for each answer asks again at once. */
const SPIN = 20
/** How many requests are served before the event loop is looked at, when there is no pause between them. */
const STRETCH = 256

/**
 * Serves the channel until the mount ends.
 * @param channel not blocking
 * @param stop aborted when serving is to end
 */
export async function serve(mirror: Mirror, channel: number, stop: AbortSignal): Promise<End> {
  const server = new Server(mirror, channel)
  for (;;) {
    const end = server.serveUntilDisturbed()
    if (end) return end
    await turnOfEventLoop()
    if (stop.aborted) return { kind: 'stopped' }
  }
}

const turnOfEventLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class Server {
  private readonly request: Request
  private readonly readiness: Readiness
  private readonly loops: number
  /** The event loop adds what it watches to epoll only in its turn: it needs one before it can be slept on. */
  private settled = false

  constructor(
    private readonly mirror: Mirror,
    private readonly channel: number,
  ) {
    this.request = new Request(mirror.message.bytes, WANTED)
    const loops = eventLoopFds()
    this.loops = loops.length
    this.readiness = new Readiness([channel, ...loops])
  }

  /** Serves until the event loop wants its turn; an End if there is nothing more to serve. */
  serveUntilDisturbed(): End | null {
    const { mirror, channel, readiness } = this
    for (let served = 0, idle = 0; ; ) {
      const length = read(channel, mirror.message.address, MAX_MESSAGE)
      if (length >= 0) {
        this.serveOne(length)
        idle = 0
        if (++served % STRETCH === 0 && readiness.look() && this.loopWaits()) return null
        continue
      }
      const end = ends(-length)
      if (end) return end
      if (++idle < SPIN || length !== -EAGAIN) continue
      idle = 0
      if (!this.settled) {
        this.settled = true
        if (mirror.folder.pins.size > 0) sweep(mirror, channel).catch(() => undefined)
        return null
      }
      if (!readiness.wait() || this.loopWaits()) return null
    }
  }

  private loopWaits(): boolean {
    for (let i = 1; i <= this.loops; i++) if (this.readiness.ready(i)) return true
    return false
  }

  private serveOne(length: number): void {
    const { mirror, request } = this
    const outcome = this.outcome(length)
    if (outcome === NO_REPLY) return
    mirror.onStep?.('executed', request)
    const errno = outcome < 0 ? -outcome : 0
    const high = request.uniqueHigh + (request.resent ? FUSE_UNIQUE_RESEND_HIGH : 0)
    const size = replyHeader(mirror.reply.view, request.uniqueLow, high, errno, outcome)
    // ENOENT: the request was aborted meanwhile, and nobody waits for the answer.
    write(this.channel, mirror.reply.address, size)
  }

  private outcome(length: number): Outcome {
    const { mirror, request } = this
    try {
      request.take(length)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      return error.code === 'SHORT_HEADER' ? NO_REPLY : error.code === 'UNKNOWN_OPCODE' ? -ENOSYS : -EINVAL
    }
    const refused = mirror.onStep?.('read', request)
    if (refused !== undefined) return -refused
    const operation: Operation | undefined = (operations as Partial<Record<string, Operation>>)[request.opcode]
    if (!operation) return -ENOSYS
    try {
      return operation(mirror, request)
    } catch (error) {
      // A defect of ours must cost one request: ending with it would have it resent to every life to come.
      process.stderr.write(`mirrorfs: ${request.opcode} failed: ${error instanceof Error ? error.stack : error}\n`)
      return -EIO
    }
  }
}

/** What an errno of reading the channel means; null: read on. Source: fuse_dev_do_read() in fs/fuse/dev.c. */
function ends(errno: number): End | null {
  if (errno === EAGAIN || errno === EINTR || errno === ENOENT) return null
  if (errno === ENODEV) return { kind: 'unmounted' }
  if (errno === ECONNABORTED) return { kind: 'aborted' }
  return { kind: 'failed', errno }
}
