// /dev/fuse: it must be the FUSE device, and we must be allowed to open it as the daemon will.
import { closeSync, constants, openSync, statSync } from 'node:fs'
import { KeepmountError } from '../errors/error.js'

/** Major 10 (misc), minor 229. Source: Documentation/admin-guide/devices.txt. */
const FUSE_DEVICE = (10 << 8) | 229

/** @throws KeepmountError NO_FUSE_DEVICE */
export function checkFuseDevice(): void {
  try {
    const device = statSync('/dev/fuse')
    if (!device.isCharacterDevice() || device.rdev !== FUSE_DEVICE)
      throw new Error('it is not the FUSE device (character 10:229)')
    closeSync(openSync('/dev/fuse', constants.O_RDWR))
  } catch (error) {
    throw new KeepmountError(
      'NO_FUSE_DEVICE',
      { reason: error instanceof Error ? error.message : String(error) },
      { cause: error },
    )
  }
}
