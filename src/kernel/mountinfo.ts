// The mount table as the kernel shows it, read without touching a mount. Source: proc_pid_mountinfo(5).
import { readFileSync } from 'node:fs'
import type { Pid } from '../native/types.js'

export interface Mount {
  readonly mountId: number
  /** The mount that it is mounted on. */
  readonly parentId: number
  /** `major:minor` of the file system. */
  readonly device: string
  /** The folder of the file system that is shown, `/` unless it is a bind mount of a part. */
  readonly root: string
  readonly mountpoint: string
  /** As `fuse` or `fuse.sshfs`. */
  readonly type: string
  readonly source: string
  readonly superOptions: string
}

/** All mounts of a process's namespace as the kernel writes them: while nothing is changed it is the same text. */
export const mountTable = (pid: Pid | 'self' = 'self'): string => readFileSync(`/proc/${pid}/mountinfo`, 'utf8')

/** All mounts of a process's namespace, in the order they were made. @throws if the process is gone */
export const readMounts = (pid: Pid | 'self' = 'self'): Mount[] => parseMountinfo(mountTable(pid))

/** The FUSE mounts among them. */
export const readFuseMounts = (pid: Pid | 'self' = 'self'): Mount[] => fuseMountsIn(mountTable(pid))

/** The FUSE mounts of a table; the mount of `fusectl` is not one. No other row is taken apart. */
export const fuseMountsIn = (table: string): Mount[] =>
  parseMountinfo(table.match(FUSE_ROWS)?.join('\n') ?? '').filter(({ type }) => isFuse(type))

const FUSE_ROWS = /^.* - fuse(?:blk)?[. ].*$/gm

/** The `major:minor` of all that is mounted. */
export const devicesIn = (table: string): Set<string> =>
  new Set(Array.from(table.matchAll(/^\d+ \d+ (\S+)/gm), ([, device = '']) => device))

export const isFuse = (type: string): boolean => /^fuse(blk)?(\.|$)/.test(type)

export function parseMountinfo(text: string): Mount[] {
  const mounts: Mount[] = []
  for (const line of text.split('\n')) {
    const dash = line.indexOf(' - ')
    if (dash < 0) continue
    const [mountId = '', parentId = '', device = '', root = '', mountpoint = ''] = line.slice(0, dash).split(' ')
    const [type = '', source = '', superOptions = ''] = line.slice(dash + 3).split(' ')
    mounts.push({
      mountId: Number(mountId),
      parentId: Number(parentId),
      device,
      root: unescapeOctal(root),
      mountpoint: unescapeOctal(mountpoint),
      type: unescapeOctal(type),
      source: unescapeOctal(source),
      superOptions,
    })
  }
  return mounts
}

/** The kernel writes space, tab, newline, backslash and # as three octal digits, all other bytes as they are. */
export function unescapeOctal(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** A user who alone may use a mount. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Who alone may use a FUSE mount, if we may not: without `allow_other` nobody else may, root neither. Null if we may. */
export function ownerOf({ superOptions }: Mount): Owner | null {
  const options = new Map(superOptions.split(',').map((option) => option.split('=') as [string, string | undefined]))
  const [uid, gid] = [Number(options.get('user_id')), Number(options.get('group_id'))]
  const isOurs = uid === process.geteuid?.() && gid === process.getegid?.()
  return options.has('allow_other') || isOurs || Number.isNaN(uid) || Number.isNaN(gid) ? null : { uid, gid }
}

/**
 * The number of a file system's FUSE connection, the name of its folder in fusectl: the kernel's dev_t in decimal,
 * which for the anonymous device `0:44` is 44. Source: fs/fuse/control.c, fuse_ctl_add_conn.
 */
export function connectionOf(device: string): number {
  const [major = 0, minor = 0] = device.split(':').map(Number)
  return major * (1 << 20) + minor
}
