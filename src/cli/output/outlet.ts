// A way out for text whose reader may be slow, stopped or gone: nothing here waits for it, since the one who writes has a
// mount to keep alive. What a reader does not take is kept up to a limit and dropped beyond it.
import { constants, createWriteStream, fstatSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { isatty, WriteStream } from 'node:tty'
import { failedWith } from '../../native/error.js'

const KEPT_BYTES = 4 << 20
/** How long the end waits for a reader. */
const FLUSH_MS = 2000

export class Outlet {
  /** Texts that found no room. */
  dropped = 0
  private failed = false

  private constructor(private readonly stream: Writable) {
    stream.on('error', () => {
      this.failed = true
    })
  }

  /** Appends to a file, which is made with mode 0600 if need be. @throws ENXIO for a named pipe that nobody reads */
  static toFile(path: string): Outlet {
    const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants
    return new Outlet(streamOn(openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o600)))
  }

  /** To one of our standard streams, by a description of its own: the flags of the shared one are the daemon's too. */
  static toStandard(fd: 1 | 2): Outlet {
    return new Outlet(streamOn(fd))
  }

  write(text: string): void {
    if (this.failed) return
    if (this.stream.writableLength > KEPT_BYTES) this.dropped++
    else this.stream.write(text)
  }

  /** True if all that was written has been taken: the moment for what can as well be left out. */
  get isIdle(): boolean {
    return !this.failed && this.stream.writableLength === 0
  }

  /** Resolves when all has been handed over, or when the reader has had its time. */
  async close(): Promise<void> {
    if (this.failed) return
    let deadline: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      deadline = setTimeout(resolve, FLUSH_MS)
    })
    const flushed = new Promise<void>((resolve) => {
      this.stream.once('close', resolve)
      this.stream.once('error', () => resolve())
      this.stream.end(() => resolve())
    })
    await Promise.race([flushed, late])
    clearTimeout(deadline)
    this.stream.destroy()
  }
}

/** A stream that is fit for what the fd is. */
function streamOn(fd: number): Writable {
  if (isatty(fd)) {
    const terminal: WriteStream & { _handle?: { setBlocking?(on: boolean): void } } = new WriteStream(fd)
    // Node makes terminals blocking, so that Ctrl-S would stop the supervisor. There is no public way to undo it.
    terminal._handle?.setBlocking?.(false)
    return terminal
  }
  const kind = fstatSync(fd)
  if (kind.isFIFO()) return new Socket({ fd: fd <= 2 ? reopened(fd) : fd, readable: false, writable: true })
  if (kind.isSocket()) return new Socket({ fd, readable: false, writable: true })
  return createWriteStream('', { fd, autoClose: fd > 2 })
}

/** A description of its own of a pipe, or the same one where there is no right to. */
function reopened(fd: number): number {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (failedWith(error, 'ENXIO', 'EACCES', 'ENOENT', 'EPERM')) return fd
    throw error
  }
}
