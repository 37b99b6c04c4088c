// The kernel's own limit on how long a request may wait, after which it aborts the mount. A pause must not reach it.
// Source: Documentation/admin-guide/sysctl/fs.rst, /proc/sys/fs/fuse (since 6.14); fs/fuse/inode.c, init_server_timeout.
import { readFileSync } from 'node:fs'
import { KeepmountError } from '../errors/error.js'
import type { MountOptions } from '../supervise/options.js'

/** @throws KeepmountError REQUEST_TIMEOUT */
export function checkRequestTimeout({ revive, holdTimeoutSec }: Pick<MountOptions, 'revive' | 'holdTimeoutSec'>): void {
  // A mount that is made anew does not pause.
  if (revive === 'remount') return
  const seconds = requestTimeout()
  if (seconds !== 0 && seconds <= holdTimeoutSec)
    throw new KeepmountError('REQUEST_TIMEOUT', { seconds, holdTimeoutSec })
}

/** Seconds, 0 for none. A daemon may ask for a timeout of its own, but for none beyond the maximum. */
export function requestTimeout(folder = '/proc/sys/fs/fuse'): number {
  const byDefault = readSeconds(`${folder}/default_request_timeout`)
  const most = readSeconds(`${folder}/max_request_timeout`)
  if (most === 0) return byDefault
  return byDefault === 0 ? most : Math.min(byDefault, most)
}

function readSeconds(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch {
    // A kernel without it has no such limit.
    return 0
  }
}
