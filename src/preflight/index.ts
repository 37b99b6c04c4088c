// What is checked before anything is started, so that a mistake leaves nothing behind: a row for each check, cheap ones
// first. None of them touches a mount from this process.
import { checkStateRoot, stateRoot } from '../state/folder.js'
import type { MountOptions } from '../supervise/options.js'
import { refuseAutoUnmount } from './auto-unmount.js'
import { findCommand } from './command.js'
import { checkFuseDevice } from './fuse-device.js'
import { checkGraftRights } from './graft-rights.js'
import { checkMountpoint } from './mountpoint.js'
import { checkRequestTimeout } from './request-timeout.js'

export interface Ready {
  /** The daemon's program, absolute. */
  readonly path: string
  /** The mountpoint as the mount table will have it, links followed; null if the user gave none. */
  readonly mountpoint: string | null
}

const checks: readonly ((options: MountOptions) => void)[] = [
  refuseAutoUnmount,
  checkFuseDevice,
  checkGraftRights,
  checkRequestTimeout,
  () => checkStateRoot(stateRoot()),
]

/** @throws KeepmountError */
export async function preflight(options: MountOptions): Promise<Ready> {
  const path = findCommand(options)
  for (const check of checks) check(options)
  return { path, mountpoint: await checkMountpoint(options) }
}
