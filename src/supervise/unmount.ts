// Taking our mount out of the mount table, without asking its daemon for anything.
import { resolve } from 'node:path'
import { readFuseMounts } from '../kernel/mountinfo.js'
import { failedWith } from '../native/error.js'
import { umount, umountFlags } from '../native/mount.js'
import type { ManagedMount } from './managed-mount.js'

/** Detaches the mount where it was made; bind mounts that others made of it are theirs. */
export function unmountOurs(m: ManagedMount): void {
  for (const { mountpoint, device } of readFuseMounts().reverse()) {
    const ours = device === m.mount?.device && mountpoint === m.mount.mountpoint
    if (ours || isStray(m, mountpoint, device)) detach(mountpoint)
  }
}

/**
 * A mount of a life that died before its channel could be taken, or of one that mounted a second time: it came after
 * the life was started, and the daemon's command names its place.
 */
function isStray({ options, mountsBefore, mount }: ManagedMount, mountpoint: string, device: string): boolean {
  const isNew = ![...mountsBefore].some((key) => key.endsWith(` ${device}`))
  const places = [
    options.mountpoint,
    mount?.mountpoint,
    ...options.argv.map((argument) => resolve(options.cwd, argument)),
  ]
  return isNew && places.includes(mountpoint)
}

function detach(mountpoint: string): void {
  try {
    umount(mountpoint, umountFlags.MNT_DETACH | umountFlags.UMOUNT_NOFOLLOW)
  } catch (error) {
    // Somebody was faster.
    if (!failedWith(error, 'EINVAL', 'ENOENT')) throw error
  }
}
