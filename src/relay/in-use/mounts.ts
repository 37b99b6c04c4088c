// Where a mount is seen, in all mount namespaces, and what holds on to it without being a process.
import { isFuse, type Mount, parseMountinfo, unescapeOctal } from '../../kernel/mountinfo.js'
import { linkOf, namesIn, readOr } from '../../kernel/procfs.js'
import { hasNoPath, ringFiles } from '../../kernel/ring-files.js'
import { type Pin, type PinKind, unknown } from './pin.js'

/** A bind mount of a part of the mount. */
export interface Bind {
  /** As its namespace has it. */
  readonly path: string
  /** How it is reached from ours; null if not, or by asking a daemon. */
  readonly file: string | null
}

/** Where the mount is seen, in all mount namespaces. */
export class Mounts {
  readonly ids = new Set<number>()
  /** By the folder that they show: the same in many namespaces counts once. */
  readonly binds = new Map<string, Bind>()
  /** All other mounts. */
  readonly others = new Set<number>()
  private readonly points = new Set<string>()
  /** Those of the namespaces that see it. */
  private readonly beside: Mount[] = []
  private readonly spaces = new Map<string, boolean>()

  constructor(private readonly device: string) {}

  /** What is mounted on one of its folders, and the overlays that show some: they hold files, and no process shows which. */
  above(): Pin[] {
    const pins: Pin[] = []
    const seen = new Set<string>()
    for (const { parentId, mountpoint, type, superOptions } of this.beside) {
      const kind = this.ids.has(parentId) ? 'mount' : type === 'overlay' && this.shows(superOptions) ? 'overlay' : null
      if (kind === null || seen.has(mountpoint)) continue
      seen.add(mountpoint)
      pins.push(unknown(null, mountpoint, kind))
    }
    return pins
  }

  /** Files that the kernel itself uses: loop devices and swap. */
  byKernel(): Pin[] {
    const loops = namesIn('/sys/block')
      .filter((name) => name.startsWith('loop'))
      .map((name) => `/sys/block/${name}/loop/backing_file`)
    const on = (kind: PinKind, file: string, paths: readonly string[]): Pin[] =>
      paths.filter((path) => path !== '' && this.mayBeOn(path)).map((path) => ({ ...unknown(null, path, kind), file }))
    return [...loops.flatMap((file) => on('loop', file, namedIn(file))), ...on('swap', SWAPS, namedIn(SWAPS))]
  }

  /** True if one of the files registered with an io_uring is on it, or may be. */
  isInRing(info: string): boolean {
    return ringFiles(info).some((name) => (name.startsWith('/') ? this.mayBeOn(name) : !hasNoPath(name)))
  }

  /** True if a layer of an overlay lies below a mountpoint; the options escape what separates them. */
  private shows(options: string): boolean {
    return unescapeOctal(options)
      .split(',')
      .flatMap((option) => /^(?:lowerdir\+?|upperdir|workdir|datadir\+)=(.*)$/.exec(option)?.[1]?.split(':') ?? [])
      .some((layer) => this.mayBeOn(layer))
  }

  /** True if a process sees the mount. */
  seenBy(pid: number): boolean {
    const space = linkOf(`/proc/${pid}/ns/mnt`)
    if (space === null) return false
    const known = this.spaces.get(space)
    if (known !== undefined) return known
    const table = readOr(`/proc/${pid}/mountinfo`) ?? ''
    const isSeen = table.includes(` ${this.device} `)
    for (const [id] of table.matchAll(/^\d+/gm)) this.others.add(Number(id))
    const all = isSeen ? parseMountinfo(table) : []
    for (const mount of all) {
      if (mount.device !== this.device) {
        this.beside.push(mount)
        continue
      }
      this.ids.add(mount.mountId)
      this.points.add(mount.mountpoint)
      if (mount.root !== '/') this.addBind(pid, mount, all)
    }
    this.spaces.set(space, isSeen)
    return isSeen
  }

  /** @param all mounts of the namespace of that process */
  private addBind(pid: number, { mountId, root, mountpoint }: Mount, all: readonly Mount[]): void {
    const key = root.endsWith(REMOVED) ? `${root} ${mountId}` : root
    if (this.binds.get(key)?.file) return
    // Who walks a path that leads through a FUSE mount asks a daemon.
    const isBarred = all.some(
      (other) =>
        (isFuse(other.type) && other.mountpoint !== mountpoint && isWithin(mountpoint, other.mountpoint)) ||
        (other.parentId === mountId && other.mountpoint === mountpoint),
    )
    this.binds.set(key, { path: mountpoint, file: isBarred ? null : `/proc/${pid}/root${mountpoint}` })
  }

  /** False if a link cannot lead onto the mount; what has been unmounted lazily shows a path of its own. */
  mayBeOn(link: string): boolean {
    for (const point of this.points) if (isWithin(link, point)) return true
    return false
  }
}

/** The end of the folder that a mount shows when that has been removed. */
const REMOVED = '//deleted'

const isWithin = (path: string, folder: string): boolean =>
  path.startsWith(folder) && (path.length === folder.length || path[folder.length] === '/' || folder === '/')

/** The paths in a file that has one in each line; procfs writes more behind it, sysfs a path as it is. */
export const namedIn = (file: string): string[] =>
  (readOr(file) ?? '').split('\n').map((line) => (file === SWAPS ? unescapeOctal(line.split(/\s/)[0] ?? '') : line))
const SWAPS = '/proc/swaps'
