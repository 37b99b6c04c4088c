// A cgroup for each holder, so that neither a service manager nor a container engine that ends a whole cgroup takes it
// along. The folder is named after the process, so it can be found again by anyone who knows the process.
//
//   <cgroup2 mount>[/<an ancestor of our own cgroup>]/keepmount/holder-<pid>-<start time>
//
// Source: cgroups(7). Version 2 only, also where it is mounted beside version 1.
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { readMounts } from '../kernel/mountinfo.js'
import { isAlive, type ProcessIdentity } from '../kernel/process.js'
import type { Pid } from '../native/types.js'

/** Moves a holder into a cgroup of its own, as near to the root as we may. @returns its folder, null if none could be made */
export function enterOwnCgroup(holder: ProcessIdentity): string | null {
  for (const { parent, folder } of places(holder)) {
    try {
      mkdirSync(parent, { recursive: true })
      mkdirSync(folder, { recursive: true })
      writeFileSync(`${folder}/cgroup.procs`, String(holder.pid))
      return folder
    } catch {
      remove(parent, folder)
    }
  }
  return null
}

/** Removes the cgroup of a holder that has ended, if it had one, and those of others that ended with their supervisor. */
export function leaveCgroup(holder: ProcessIdentity): void {
  for (const { parent, folder } of places(holder)) {
    for (const orphan of orphansIn(parent)) removeFolder(orphan)
    remove(parent, folder)
  }
}

/** The folder of a holder's own cgroup; null if it is in another. */
export function ownCgroupOf(holder: ProcessIdentity): string | null {
  const path = cgroupPathOf(holder.pid)
  return path?.endsWith(`/${nameOf(holder)}`)
    ? (places(holder).find(({ folder }) => folder.endsWith(path))?.folder ?? null)
    : null
}

const nameOf = ({ pid, startTime }: ProcessIdentity): string => `keepmount/holder-${pid}-${startTime}`

/** Where a holder's cgroup could be: under the root of each mount of cgroup2, then under each ancestor of our own cgroup. */
function places(holder: ProcessIdentity): { parent: string; folder: string }[] {
  const own = cgroupPathOf('self') ?? '/'
  const bases: string[] = []
  for (const { type, root, mountpoint } of readMounts()) {
    if (type !== 'cgroup2') continue
    bases.push(mountpoint)
    const below = root === '/' ? own : own.startsWith(`${root}/`) ? own.slice(root.length) : '/'
    let base = mountpoint
    for (const part of below.split('/').filter(Boolean)) {
      base += `/${part}`
      bases.push(base)
    }
  }
  return bases.map((base) => ({ parent: `${base}/keepmount`, folder: `${base}/${nameOf(holder)}` }))
}

/** The path in the hierarchy of version 2: the line without controllers. */
function cgroupPathOf(pid: number | 'self'): string | null {
  try {
    return /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? null
  } catch {
    return null
  }
}

/** The parent is shared: it goes with the last folder in it. */
function remove(parent: string, folder: string): void {
  removeFolder(folder)
  removeFolder(parent)
}

/** The kernel refuses to remove a cgroup that has processes or folders in it. */
function removeFolder(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // Not there, not empty, or not ours.
  }
}

/** The cgroups there of holders that have ended. */
function orphansIn(parent: string): string[] {
  try {
    return readdirSync(parent)
      .map((name) => /^holder-(\d+)-(\d+)$/.exec(name))
      .filter((match) => match !== null)
      .filter(([, pid = '', startTime = '']) => !isAlive({ pid: Number(pid) as Pid, startTime }))
      .map(([name]) => `${parent}/${name}`)
  } catch {
    return []
  }
}
