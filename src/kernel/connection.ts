// A FUSE connection as fusectl shows it: how many requests wait, and the switch that aborts it. The file system is
// mounted privately, attached nowhere, so that nothing on the machine changes. Source: fs/fuse/control.c.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { failedWith } from '../native/error.js'
import { detachedMount } from '../native/mount.js'
import type { Fd } from '../native/types.js'

/** Requests of the connection that are not answered yet; null if there is no such connection any more. */
export function waitingRequests(connection: number): number | null {
  try {
    return Number(readFileSync(`${fusectl()}/${connection}/waiting`, 'utf8'))
  } catch (error) {
    if (failedWith(error, 'ENOENT', 'ENODEV')) return null
    throw error
  }
}

/**
 * Aborts the connection: every waiting request ends with ECONNABORTED, each later one with ENOTCONN.
 * @returns false if there is no such connection any more
 */
export function abortConnection(connection: number): boolean {
  try {
    writeFileSync(`${fusectl()}/${connection}/abort`, '1')
    return true
  } catch (error) {
    if (failedWith(error, 'ENOENT', 'ENODEV')) return false
    throw error
  }
}

export const connectionExists = (connection: number): boolean => waitingRequests(connection) !== null

/** The numbers of all connections that can be seen. */
export const connectionNumbers = (): number[] => readdirSync(fusectl()).map(Number)

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
