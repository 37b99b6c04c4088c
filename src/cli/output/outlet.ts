// A way out for text whose reader may be slow, stopped or gone: nothing here waits for it, since the one who writes has a
// mount to keep alive. What a reader does not take is kept up to a limit and dropped beyond it.
import { constants, createWriteStream, fstatSync, openSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { failedWith } from '../../native/error.js'
import { PatientWriter } from './patient-writer.js'

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
    return new Outlet(streamOn(openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o600), true))
  }

  /** To one of our standard streams. */
  static toStandard(fd: 1 | 2): Outlet {
    return new Outlet(streamOn(fd, false))
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
      this.stream.once('error', () => resolve())
      this.stream.end(() => resolve())
    })
    await Promise.race([flushed, late])
    clearTimeout(deadline)
  }
}

/** @param isOurs false for a standard stream, whose flags are the daemon's too and which stays open */
function streamOn(fd: number, isOurs: boolean): Writable {
  const kind = fstatSync(fd)
  if (kind.isFile() || isNull(kind.rdev)) return createWriteStream('', { fd, autoClose: isOurs })
  if (kind.isSocket()) return new PatientWriter(fd, 'socket')
  return new PatientWriter(isOurs ? fd : reopened(fd), 'file')
}

/** /dev/null and its like, which always take what they are given: major 1. */
const isNull = (rdev: number): boolean => rdev >> 8 === 1

/** A description of its own of a pipe or terminal, so that it can be non-blocking, or the same where we may not. */
function reopened(fd: number): number {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch (error) {
    if (failedWith(error, 'ENXIO', 'EACCES', 'ENOENT', 'EPERM', 'EIO')) return fd
    throw error
  }
}
