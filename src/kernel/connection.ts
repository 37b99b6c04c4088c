// A FUSE connection as fusectl shows it: how many requests wait, and the switch that aborts it. The file system is
// mounted privately, attached nowhere, so that nothing on the machine changes. Source: fs/fuse/control.c.
//
// A connection's number is that of its file system's device. It is free as soon as the file system is gone, and given at once
// to the next one that anybody mounts: by its number alone somebody else's would be aborted. An open file of fusectl goes on
// meaning the connection it was opened for, and nothing once that is gone (fuse_ctl_remove_conn).
import { closeSync, constants, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { failedWith } from '../native/error.js'
import { detachedMount } from '../native/mount.js'
import type { Fd } from '../native/types.js'

export class Connection {
  private constructor(
    readonly number: number,
    private readonly waitingFile: number,
    private readonly abortFile: number,
  ) {}

  /**
   * @param isMeant asked once the files are open: whether the connection that is meant still has its file system, and so had
   *   its number when they were opened
   * @returns null if it is gone, or is none that we may abort. The caller closes it
   */
  static open(number: number, isMeant: () => boolean): Connection | null {
    const opened: number[] = []
    let connection: Connection | null = null
    const opening = (name: string, flags: number): number => {
      const fd = openSync(`${fusectl()}/${number}/${name}`, flags)
      opened.push(fd)
      return fd
    }
    try {
      const candidate = new Connection(number, opening('waiting', O_RDONLY), opening('abort', O_WRONLY))
      if (isMeant()) connection = candidate
      return connection
    } catch (error) {
      if (failedWith(error, ...gone, 'EACCES', 'EPERM', 'EROFS')) return null
      throw error
    } finally {
      if (connection === null) for (const fd of opened) closeSync(fd)
    }
  }

  /** Requests that are not answered yet; null once its file system is gone. */
  waiting(): number | null {
    // Each opening can be read once: the file has no positions. It is the same file, also when it has no name any more.
    const text = readFileSync(`/proc/self/fd/${this.waitingFile}`, 'latin1')
    return text === '' ? null : Number(text)
  }

  /** True until its file system is gone, also when it has been aborted. */
  exists(): boolean {
    return this.waiting() !== null
  }

  /** Every waiting request ends with ECONNABORTED, each later one with ENOTCONN. Does nothing to one that is gone. */
  abort(): void {
    writeSync(this.abortFile, '1')
  }

  close(): void {
    closeSync(this.waitingFile)
    closeSync(this.abortFile)
  }
}

/** Aborts a connection that nobody keeps open; see Connection.open. False if it is not there any more. */
export function abortConnection(number: number, isMeant: () => boolean): boolean {
  const connection = Connection.open(number, isMeant)
  connection?.abort()
  connection?.close()
  return connection !== null
}

/** Requests of whatever connection has this number that are not answered yet; null if none has. */
export function waitingRequests(connection: number): number | null {
  try {
    return Number(readFileSync(`${fusectl()}/${connection}/waiting`, 'utf8'))
  } catch (error) {
    if (failedWith(error, ...gone)) return null
    throw error
  }
}

export const connectionExists = (connection: number): boolean => waitingRequests(connection) !== null

/** The numbers of all connections that can be seen. */
export const connectionNumbers = (): number[] => readdirSync(fusectl()).map(Number)

const { O_RDONLY, O_WRONLY } = constants
const gone = ['ENOENT', 'ENODEV'] as const
const wellKnown = '/sys/fs/fuse/connections'
let detached: Fd | undefined

/** Where fusectl can be read. Without the right to mount it, the machine's own mount of it, if there is one. */
function fusectl(): string {
  if (detached !== undefined) return `/proc/self/fd/${detached}`
  try {
    detached = detachedMount('fusectl')
    return `/proc/self/fd/${detached}`
  } catch (error) {
    if (failedWith(error, 'EPERM', 'ENOSYS', 'ENODEV')) return wellKnown
    throw error
  }
}
