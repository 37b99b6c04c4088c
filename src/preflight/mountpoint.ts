// The mountpoint: a folder that is there, and nothing mounted on it that is somebody's already. The mount table is asked
// first; only a mountpoint that the user named is looked at, by a child.
import { resolve } from 'node:path'
import { KeepmountError } from '../errors/error.js'
import { readFuseMounts } from '../kernel/mountinfo.js'
import { isAlive } from '../kernel/process.js'
import type { Pid } from '../native/types.js'
import { knownMounts } from '../state/folder.js'
import type { MountOptions } from '../supervise/options.js'
import { LOOK_SECONDS, look } from './look.js'

type Wanted = Pick<MountOptions, 'name' | 'argv' | 'cwd' | 'mountpoint'>

/**
 * @returns where the named mountpoint is, links followed; null if none was named
 * @throws KeepmountError ALREADY_MANAGED, UNSUPERVISED, MOUNTPOINT_MISSING, MOUNTPOINT_SILENT, MOUNTPOINT_BUSY
 */
export async function checkMountpoint(options: Wanted): Promise<string | null> {
  const likely = options.mountpoint ?? likelyMountpoint(options)
  if (likely !== null) {
    refuseManaged(likely, options.name)
    await refuseBusy(likely)
  }
  if (options.mountpoint === null) return null
  const seen = await look(options.mountpoint)
  if (seen === null)
    throw new KeepmountError('MOUNTPOINT_SILENT', { mountpoint: options.mountpoint, seconds: LOOK_SECONDS })
  if (!seen.isFolder)
    throw new KeepmountError('MOUNTPOINT_MISSING', {
      mountpoint: options.mountpoint,
      reason: seen.problem ?? 'it is not a folder',
    })
  if (seen.path !== options.mountpoint) {
    refuseManaged(seen.path, options.name)
    await refuseBusy(seen.path)
  }
  return seen.path
}

/**
 * Where a command without --mountpoint mounts, most likely: the last of its words that is neither an option nor may be
 * the value of one. Nearly every daemon takes SOURCE MOUNTPOINT; a source that is a managed mount is nothing wrong.
 */
export function likelyMountpoint({ argv, cwd }: Pick<Wanted, 'argv' | 'cwd'>): string | null {
  const words = argv.slice(1).filter((word, i) => !word.startsWith('-') && !(argv[i] ?? '').startsWith('-'))
  const last = words.at(-1)
  // Of a command whose every word may be an option's value the last word is as good a guess as any.
  const guess = last ?? argv.slice(1).findLast((word) => !word.startsWith('-'))
  return guess === undefined ? null : resolve(cwd, guess)
}

/** @param own the name whose lock we hold: what it left behind can be taken up no more */
function refuseManaged(mountpoint: string, own: string): void {
  for (const { record, name } of knownMounts()) {
    if (record === null || name === own) continue
    if ((record.mount?.mountpoint ?? record.options.mountpoint) !== mountpoint) continue
    const { pid, startTime } = record.supervisor
    if (isAlive({ pid: pid as Pid, startTime })) {
      throw new KeepmountError('ALREADY_MANAGED', { name, mountpoint, supervisor: pid })
    }
    const isThere = readFuseMounts().some(
      (mount) => mount.mountpoint === mountpoint && mount.device === record.mount?.device,
    )
    if (isThere) throw new KeepmountError('UNSUPERVISED', { name, mountpoint })
  }
}

async function refuseBusy(mountpoint: string): Promise<void> {
  const mount = readFuseMounts().findLast((each) => each.mountpoint === mountpoint)
  if (mount === undefined) return
  const seen = await look(mountpoint)
  throw new KeepmountError('MOUNTPOINT_BUSY', {
    mountpoint,
    type: mount.type,
    dead: seen === null || seen.problem !== null,
  })
}
