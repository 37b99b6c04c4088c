// Who holds on to files of a mount, and which nodeids those are: read from procfs and by file handles, none of which asks
// the daemon for anything. Source: proc_pid_fdinfo(5), proc_pid_map_files(5), inotify(7), name_to_handle_at(2).
import { readdirSync, readFileSync } from 'node:fs'
import { connectionOf, parseMountinfo } from '../kernel/mountinfo.js'
import { cstring, rawSyscall } from '../native/ffi.js'
import { atFlags } from '../native/open-flags.js'

export interface Pin {
  /** null: a bind mount, which is the kernel's. */
  readonly pid: number | null
  /** The process's name. */
  readonly command: string
  readonly path: string
  readonly kind: 'open' | 'cwd' | 'root' | 'mmap' | 'bind' | 'watch'
  readonly nodeLow: number
  readonly nodeHigh: number
  readonly generation: number
}

const AT_FDCWD = -100
const HANDLE_SIZE = 128
const ROOM = 4096
const handle = Buffer.alloc(8 + HANDLE_SIZE)
const mountId = Buffer.alloc(4)
const text = Buffer.alloc(ROOM)

/** @param device of the mount, as `0:44` */
export function pinsOf(device: string, excluded: ReadonlySet<number>): Pin[] {
  const pins: Pin[] = []
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && !excluded.has(pid))
  const mounts = new Mounts(device)
  const hexDevice = hexOf(device)
  const sdev = ` sdev:${connectionOf(device).toString(16)} `
  const spaces = new Map(pids.map((pid) => [pid, mounts.seenBy(pid)]))
  for (const bind of mounts.binds) add(pins, bind, 'bind', null, bind, atFlags.AT_SYMLINK_NOFOLLOW)
  for (const pid of pids) {
    const folder = `/proc/${pid}`
    const sees = spaces.get(pid) ?? false
    for (const name of namesIn(`${folder}/fd`)) {
      const link = linkOf(`${folder}/fd/${name}`)
      if (link === 'anon_inode:inotify') watches(pins, pid, readOr(`${folder}/fdinfo/${name}`), sdev)
      if (link === null || !link.startsWith('/') || !mounts.mayBeOn(link)) continue
      const id = /^mnt_id:\s*(\d+)/m.exec(readOr(`${folder}/fdinfo/${name}`))?.[1]
      if (id !== undefined && mounts.ids.has(Number(id))) add(pins, `${folder}/fd/${name}`, 'open', pid, link)
    }
    if (!sees) continue
    for (const kind of ['cwd', 'root'] as const) {
      const link = linkOf(`${folder}/${kind}`)
      if (link?.startsWith('/') && mounts.mayBeOn(link)) add(pins, `${folder}/${kind}`, kind, pid, link, 0, mounts.ids)
    }
    const maps = readOr(`${folder}/maps`)
    if (!maps.includes(` ${hexDevice} `)) continue
    const seen = new Set<string>()
    for (const line of maps.split('\n')) {
      const [range = '', , , lineDevice, inode = ''] = line.split(' ')
      if (lineDevice !== hexDevice || seen.has(inode)) continue
      seen.add(inode)
      const file = `${folder}/map_files/${range.replace(/\b0+(?=[0-9a-f])/g, '')}`
      add(pins, file, 'mmap', pid, linkOf(file) ?? '')
    }
  }
  return pins
}

/** Where the mount is seen, in all mount namespaces. */
class Mounts {
  readonly ids = new Set<number>()
  readonly binds: string[] = []
  private readonly points = new Set<string>()
  private readonly spaces = new Map<string, boolean>()

  constructor(private readonly device: string) {
    const fuse = parseMountinfo(readOr('/proc/self/mountinfo')).filter(({ type }) => /^fuse(blk)?(\.|$)/.test(type))
    // A path that leads through a FUSE mount is not touched: who walks it asks a daemon.
    const through = (path: string): boolean => fuse.some(({ mountpoint }) => path.startsWith(`${mountpoint}/`))
    for (const each of fuse)
      if (each.device === device && each.root !== '/' && !through(each.mountpoint)) this.binds.push(each.mountpoint)
  }

  /** True if a process sees the mount. */
  seenBy(pid: number): boolean {
    const space = linkOf(`/proc/${pid}/ns/mnt`)
    if (space === null) return false
    const known = this.spaces.get(space)
    if (known !== undefined) return known
    const table = readOr(`/proc/${pid}/mountinfo`)
    const own = table.includes(` ${this.device} `)
      ? parseMountinfo(table).filter(({ device }) => device === this.device)
      : []
    for (const { mountId, mountpoint } of own) {
      this.ids.add(mountId)
      this.points.add(mountpoint)
    }
    this.spaces.set(space, own.length > 0)
    return own.length > 0
  }

  /** False if a link cannot lead onto the mount; what has been unmounted lazily shows a path of its own. */
  mayBeOn(link: string): boolean {
    for (const point of this.points)
      if (link.startsWith(point) && (link.length === point.length || link[point.length] === '/' || point === '/'))
        return true
    return false
  }
}

function add(
  pins: Pin[],
  file: string,
  kind: Pin['kind'],
  pid: number | null,
  path: string,
  flags: number = atFlags.AT_SYMLINK_FOLLOW,
  ids?: ReadonlySet<number>,
): void {
  handle.writeUInt32LE(HANDLE_SIZE, 0)
  const follow = flags === 0 ? atFlags.AT_SYMLINK_FOLLOW : flags === atFlags.AT_SYMLINK_NOFOLLOW ? 0 : flags
  if (rawSyscall('name_to_handle_at', AT_FDCWD, cstring(file), handle, mountId, follow) < 0) return
  if (ids && !ids.has(mountId.readInt32LE())) return
  if (handle.readUInt32LE(0) < 12) return
  pins.push({
    pid,
    command: pid === null ? '' : readOr(`/proc/${pid}/comm`).trim(),
    path,
    kind,
    nodeHigh: handle.readUInt32LE(8),
    nodeLow: handle.readUInt32LE(12),
    generation: handle.readUInt32LE(16),
  })
}

function watches(pins: Pin[], pid: number, info: string, sdev: string): void {
  for (const line of info.split('\n')) {
    const hex = line.includes(sdev) ? /fhandle-type:8[12] f_handle:([0-9a-f]{24})/.exec(line)?.[1] : undefined
    if (hex === undefined) continue
    const bytes = Buffer.from(hex, 'hex')
    pins.push({
      pid,
      command: readOr(`/proc/${pid}/comm`).trim(),
      path: '',
      kind: 'watch',
      nodeHigh: bytes.readUInt32LE(0),
      nodeLow: bytes.readUInt32LE(4),
      generation: bytes.readUInt32LE(8),
    })
  }
}

/** `00:2c` for `0:44`, as /proc/PID/maps has it. */
const hexOf = (device: string): string =>
  device
    .split(':')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join(':')

/** Where a link leads, or null; without an exception for each process that has ended. */
function linkOf(path: string): string | null {
  const size = rawSyscall('readlinkat', AT_FDCWD, cstring(path), text, ROOM)
  return size < 0 ? null : text.toString('utf8', 0, size)
}
const readOr = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
const namesIn = (path: string): string[] => {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
