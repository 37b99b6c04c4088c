// Taking our mount out of the mount table, without asking its daemon for anything.
import { spawnSync } from 'node:child_process'
import { mountKey } from '../capture/find-mount.js'
import { readFuseMounts } from '../kernel/mountinfo.js'
import { failedWith } from '../native/error.js'
import { umount, umountFlags } from '../native/mount.js'
import { likelyMountpoint } from '../preflight/mountpoint.js'
import type { ManagedMount } from './managed-mount.js'

/** Detaches the mount where it was made; bind mounts that others made of it are theirs. */
export function unmountOurs(m: ManagedMount): void {
  const mounts = readFuseMounts().reverse()
  const isThere = m.connection?.exists() ?? true
  for (const mount of mounts) {
    const isOurs = isThere && mount.device === m.mount?.device && mount.mountpoint === m.mount.mountpoint
    if (isOurs || m.strays.has(mountKey(mount))) detach(mount.mountpoint)
  }
  m.strays.clear()
}

/**
 * Notes the mount of a first life that died before its channel could be taken: nobody serves it. It came after the life
 * was started, and it is where the command says.
 */
export function findStray(m: ManagedMount): void {
  const place = m.options.mountpoint ?? likelyMountpoint(m.options)
  for (const mount of readFuseMounts())
    if (mount.mountpoint === place && !m.mountsBefore.has(mountKey(mount))) m.strays.add(mountKey(mount))
}

function detach(mountpoint: string): void {
  try {
    umount(mountpoint, umountFlags.MNT_DETACH | umountFlags.UMOUNT_NOFOLLOW)
  } catch (error) {
    // Without the right to unmount there is the helper that users mount with. Otherwise somebody was faster.
    if (failedWith(error, 'EPERM')) detachAsUser(mountpoint)
    else if (!failedWith(error, 'EINVAL', 'ENOENT')) throw error
  }
}

/** Source: fusermount3(1). */
function detachAsUser(mountpoint: string): void {
  for (const helper of ['fusermount3', 'fusermount']) {
    const { status } = spawnSync(helper, ['-u', '-z', '--', mountpoint], {
      stdio: 'ignore',
      timeout: HELPER_DEADLINE_MS,
    })
    if (status === 0) return
  }
}

const HELPER_DEADLINE_MS = 5000
