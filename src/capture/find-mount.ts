// The mount that a daemon has just made, and the process that serves it, found without the daemon's cooperation: a FUSE
// mount that was not there before, whose channel one of the daemon's family has open.
import { connectionOf, type Mount, readFuseMounts } from '../kernel/mountinfo.js'
import { fuseFdsOf, mayServe } from '../kernel/process.js'
import type { Pid } from '../native/types.js'

export interface ServedMount {
  readonly mount: Mount
  readonly connection: number
  /** The topmost process of the family that has the channel open. */
  readonly server: Pid
}

/** Tells mounts of now from later ones. */
export const mountKeys = (mounts: readonly Mount[]): Set<string> => new Set(mounts.map(mountKey))

// Ids and device numbers are given again at once: those of a mount that has just gone may be those of ours.
export const mountKey = ({ mountId, device, mountpoint }: Mount): string => `${mountId} ${device} ${mountpoint}`

/** True while one of these is the very mount. */
export const isAmong = (mount: Mount, mounts: readonly Mount[]): boolean => mountKeys(mounts).has(mountKey(mount))

/**
 * @param before the keys of the FUSE mounts that were there before the daemon was started
 * @param family the daemon's processes, parents first
 * @param mountpoint where it is to mount, or null for anywhere
 * @returns null as long as there is none
 */
export function findServedMount(
  before: Set<string>,
  family: readonly Pid[],
  mountpoint: string | null,
): ServedMount | null {
  const candidates = readFuseMounts().filter(
    (mount) => !before.has(mountKey(mount)) && (mountpoint === null || mount.mountpoint === mountpoint),
  )
  return servedAmong(candidates, family)
}

/** The latest of these mounts whose channel one of the processes has open. */
export function servedAmong(candidates: readonly Mount[], family: readonly Pid[]): ServedMount | null {
  for (const mount of candidates.toReversed()) {
    const connection = connectionOf(mount.device)
    const server = serversAmong(family, connection)[0]
    if (server !== undefined) return { mount, connection, server }
  }
  return null
}

/** Those of the processes that have a channel of the connection open. */
export const serversAmong = (pids: readonly Pid[], connection: number): Pid[] =>
  pids.filter((pid) => fuseFdsOf(pid).some((fuse) => mayServe(fuse, connection)))
