// Who holds on to files of a mount, and which nodeids those are: read from procfs and by file handles, none of which asks
// the daemon for anything. Source: proc_pid_fdinfo(5), proc_pid_map_files(5), inotify(7), name_to_handle_at(2).
import { readdirSync } from 'node:fs'
import { connectionOf, unescapeOctal } from '../../kernel/mountinfo.js'
import { type FileHandle, nodeAt, readHandle } from '../../kernel/node-handle.js'
import { beginningOf, linkOf, namesIn, readOr } from '../../kernel/procfs.js'
import { cstring, rawSyscall } from '../../native/ffi.js'
import { fileHandle, MAX_HANDLE_SZ } from '../../native/file-handles.js'
import { atFlags } from '../../native/open-flags.js'
import { isApart, isSameFile } from '../../native/process.js'
import type { Fd, Pid, RemoteFd } from '../../native/types.js'
import { keyOf } from '../find/query.js'
import { BoundSockets, withBound } from './bound-sockets.js'
import { handlesOf, readFiles } from './looking.js'
import { type Bind, Mounts, namedIn } from './mounts.js'
import { commandOf, type Pin, type PinKind, unknown } from './pin.js'

const handle = Buffer.alloc(fileHandle.f_handle + MAX_HANDLE_SZ)
const mountId = Buffer.alloc(4)
const { AT_FDCWD, AT_SYMLINK_FOLLOW, AT_HANDLE_CONNECTABLE, AT_EMPTY_PATH } = atFlags

/** All that there is, at once. */
export function pinsOf(device: string, excluded: ReadonlySet<number>, looker: number): Pin[] {
  const scan = scanning(device, excluded, looker, true)
  for (;;) {
    const { done, value } = scan.next()
    if (done) return value
  }
}

/**
 * Looks at one process after the other, each a step of some ten microseconds.
 * @param device of the mount, as `0:44`
 * @param looker the socket of the companion that looks at mappings; what it can't tell in time counts as unknown
 * @param isThorough looks also for what is open by a mount that is none any more (umount2(2), MNT_DETACH): a look at each open
 * file of the machine; and for what single threads hold on to (unshare(2), CLONE_FS). What it finds, nobody else need wait for.
 */
export function* scanning(
  device: string,
  excluded: ReadonlySet<number>,
  looker: number,
  isThorough = false,
): Generator<undefined, Pin[], undefined> {
  const pins: Pin[] = []
  const detached: Detached[] = []
  const processes = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && !excluded.has(pid))
  const pids = isThorough ? processes.flatMap((pid) => [pid, ...threadsApart(pid)]) : processes
  const mounts = new Mounts(device)
  const sdev = sdevOf(device)
  mounts.seenBy(process.pid)
  const spaces = new Map<number, boolean>()
  const sockets = new BoundSockets()
  for (const pid of pids) {
    spaces.set(pid, mounts.seenBy(pid))
    yield
  }
  pins.push(...shown(looker, [...mounts.binds.values()]))
  pins.push(...mounts.above(), ...mounts.byKernel())
  for (const pid of pids) {
    const folder = `/proc/${pid}`
    const sees = spaces.get(pid) ?? false
    const names = namesIn(`${folder}/fd`)
    // A kernel thread has nothing open, no program, and nothing mapped.
    if (names.length === 0 && linkOf(`${folder}/exe`) === null) {
      spaces.delete(pid)
      continue
    }
    for (const name of names) {
      const link = linkOf(`${folder}/fd/${name}`)
      if (link === null) continue
      if (link.startsWith('socket:'))
        sockets.look(pid, Number(name), link, (bound) => addBound(pins, `${folder}/fd/${name}`, pid, bound, device))
      const info = `${folder}/fdinfo/${name}`
      if (link === 'anon_inode:inotify' || link === 'anon_inode:[fanotify]') watches(pins, pid, info, sdev)
      if (link === 'anon_inode:[io_uring]' && mounts.isInRing(readOr(info) ?? '')) pins.push(unknown(pid, link, 'ring'))
      if (!link.startsWith('/') || !(isThorough || mounts.mayBeOn(link))) continue
      const id = Number(/^mnt_id:\s*(\d+)/m.exec(beginningOf(info))?.[1] ?? Number.NaN)
      const file = `${folder}/fd/${name}`
      if (mounts.ids.has(id)) add(pins, file, 'open', pid, link)
      else if (isThorough && !mounts.others.has(id)) detached.push({ pid, path: link, kind: 'open', file })
    }
    yield
    if (!sees && !isThorough) continue
    for (const kind of ['cwd', 'root'] as const) {
      const file = `${folder}/${kind}`
      const link = linkOf(file)
      if (!link?.startsWith('/')) continue
      if (sees && mounts.mayBeOn(link)) add(pins, file, kind, pid, link, mounts.ids)
      else if (isThorough) detached.push({ pid, path: link, kind, file })
    }
  }
  const seeing = pids.filter((pid) => (isThorough ? spaces.has(pid) : spaces.get(pid)))
  const hexDevice = hexOf(device)
  for (let i = 0; i < seeing.length; i += AT_ONCE) {
    const found = mapped(looker, seeing.slice(i, i + AT_ONCE), hexDevice)
    pins.push(...found)
    // Of the rest it can't be told either.
    if (found.some(({ nodeLow, nodeHigh }) => nodeLow === 0 && nodeHigh === 0)) break
    yield
  }
  pins.push(...stillHeld(looker, detached, device))
  return pins
}

/** Threads that hold on to what their process does not: procfs shows them as processes too, though it does not list them. */
const threadsApart = (pid: number): number[] =>
  namesIn(`/proc/${pid}/task`)
    .map(Number)
    .filter((tid) => tid !== pid && isApart(pid as Pid, tid))

/** Processes whose mappings are looked at in one step. */
const AT_ONCE = 4

/** A file of a mount that is in no namespace, or maybe so. */
interface Detached {
  readonly pid: number
  readonly path: string
  readonly kind: 'open' | 'cwd' | 'root'
  readonly file: string
}

/** Those of them that are this mount's. The looker asks first, as an NFS server may have to be waited for. */
function stillHeld(looker: number, detached: readonly Detached[], device: string): Pin[] {
  const handles = handlesOf(
    looker,
    detached.map(({ file }) => file),
  )
  const pins: Pin[] = []
  for (const [i, { pid, path, kind, file }] of detached.entries())
    if (handles[i] === undefined) pins.push(unknown(pid, path, kind))
    else if (handles[i] !== null && deviceOf(AT_FDCWD, file, 0) === device) add(pins, file, kind, pid, path)
  return pins
}

const attributes = Buffer.alloc(256)
/** Of a file, without asking its file system for anything: stx_dev_major of statx(2) is at 136. Empty if it is not there. */
function deviceOf(at: number, name: string, flags: number): string {
  if (rawSyscall('statx', at, cstring(name), AT_STATX_DONT_SYNC | flags, 0, attributes) < 0) return ''
  return `${attributes.readUInt32LE(136)}:${attributes.readUInt32LE(140)}`
}
const AT_STATX_DONT_SYNC = 0x4000

/** What bind mounts show. */
function shown(looker: number, binds: readonly Bind[]): Pin[] {
  const reachable = binds.flatMap(({ path, file }) => (file === null ? [] : [{ pid: null, path, file }]))
  const known = askedFor(looker, 'bind', reachable)
  return [
    ...known.map((pin, i) => pin ?? unknown(null, reachable[i]?.path ?? '', 'bind')),
    ...binds.flatMap(({ path, file }) => (file === null ? [unknown(null, path, 'bind')] : [])),
  ]
}

/** What the looker says of files: null of one that is gone or on no FUSE mount. */
function askedFor(
  looker: number,
  kind: PinKind,
  files: readonly { readonly pid: number | null; readonly path: string; readonly file: string }[],
): (Pin | null)[] {
  const handles = new Map<string, FileHandle | null | undefined>()
  const ask = (those: typeof files, withFolders: boolean): void => {
    const names = those.map(({ file }) => file)
    const found = handlesOf(looker, names, withFolders)
    for (const [i, name] of names.entries()) handles.set(name, found[i])
  }
  if (kind === 'mmap')
    ask(
      files.filter(({ path }) => mayTellFolder(path)),
      true,
    )
  ask(
    files.filter(({ file }) => !handles.has(file) || handles.get(file) === null),
    false,
  )
  return files.map(({ pid, path, file }) => {
    const found = handles.get(file)
    if (found === undefined) return unknown(pid, path, kind)
    return found && pinOf(found, pid, kind, path, file)
  })
}

/** The kernel warns who asks for the folder of what has no name; before Linux 6.13 it tells none. */
const mayTellFolder = (path: string): boolean => path.length > 1

/** A line of /proc/PID/maps: the range, permissions, the offset, the device, the inode, the path. */
const MAPPING = /^(\S+) \S+ \S+ (\S+) (\d+) *(.*)$/

/** What processes have mapped, whether it is open as well or not. */
function mapped(looker: number, pids: readonly number[], hexDevice: string): Pin[] {
  const files: { pid: number; file: string; path: string }[] = []
  const texts = readFiles(
    looker,
    pids.map((pid) => `/proc/${pid}/maps`),
    ` ${hexDevice} `,
  )
  for (const [i, pid] of pids.entries()) {
    const text = texts[i]
    if (text === undefined) return [unknown(pid, '', 'mmap')]
    if (!text) continue
    const seen = new Set<string>()
    for (const line of text.split('\n')) {
      const [, range = '', lineDevice, inode = '', path = ''] = MAPPING.exec(line) ?? []
      if (lineDevice !== hexDevice || seen.has(inode)) continue
      seen.add(inode)
      const file = `/proc/${pid}/map_files/${range.replace(/\b0+(?=[0-9a-f])/g, '')}`
      files.push({ pid, file, path: unescapeOctal(Buffer.from(path, 'latin1').toString()) })
    }
  }
  return askedFor(looker, 'mmap', files).filter((pin) => pin !== null)
}

/** True if what a scan has found is certainly there still; some microseconds. */
export function isStill(pin: Pin, device: string, looker: number): boolean {
  const { file, kind, pid, path } = pin
  if (file === null) return false
  if (kind === 'loop' || kind === 'swap') return namedIn(file).includes(path)
  if (kind === 'mmap' || kind === 'bind') {
    const [found] = handlesOf(looker, [file])
    return found?.node.low === pin.nodeLow && found.node.high === pin.nodeHigh
  }
  const now: Pin[] = []
  if (kind === 'watch') watches(now, pid ?? 0, file, sdevOf(device))
  else if (kind === 'socket') withBound(pid ?? 0, fdIn(file), (bound) => addBound(now, file, pid, bound, device))
  else add(now, file, kind, pid, path)
  return now.some(({ nodeLow, nodeHigh }) => nodeLow === pin.nodeLow && nodeHigh === pin.nodeHigh)
}

/**
 * Those that stand for an open file each, which is closed once: not what was duplicated or inherited, nor a mapping by a
 * process that has the file open as well. Where that can't be told, each is one.
 */
export function openFilesAmong(pins: readonly Pin[]): Set<Pin> {
  const found = new Set<Pin>()
  const byNode = new Map<string, { pid: Pid; fd: RemoteFd }[]>()
  const descriptorsOf = ({ nodeLow, nodeHigh }: Pin) => {
    const key = keyOf(nodeLow, nodeHigh)
    const known = byNode.get(key) ?? []
    byNode.set(key, known)
    return known
  }
  for (const pin of pins) {
    const own = descriptorOf(pin)
    if (own === null) continue
    const others = descriptorsOf(pin)
    if (!others.some(({ pid, fd }) => isSameFile(pid, fd, own.pid, own.fd, false))) found.add(pin)
    others.push(own)
  }
  for (const pin of pins)
    if (pin.kind === 'mmap' && !descriptorsOf(pin).some(({ pid }) => pid === pin.pid)) found.add(pin)
  return found
}

function descriptorOf({ kind, pid, file }: Pin): { pid: Pid; fd: RemoteFd } | null {
  if (kind !== 'open' || pid === null || file === null) return null
  return { pid: pid as Pid, fd: fdIn(file) as RemoteFd }
}

const fdIn = (file: string): number => Number(file.slice(file.lastIndexOf('/') + 1))

/** True if its path means the same in our mount namespace. */
export const hasOurPath = ({ pid, path }: Pin): boolean =>
  pid !== null && path !== '' && linkOf(`/proc/${pid}/ns/mnt`) === ourNamespace
const ourNamespace = linkOf('/proc/self/ns/mnt')

/** Files that are on their way through sockets: it can't be told which they are. */
export function filesInFlight(): Pin[] {
  const pins: Pin[] = []
  for (const pid of namesIn('/proc').map(Number)) {
    if (!(pid > 0)) continue
    for (const name of namesIn(`/proc/${pid}/fd`)) {
      if (!linkOf(`/proc/${pid}/fd/${name}`)?.startsWith('socket:')) continue
      if (/^scm_fds:\s*[1-9]/m.test(readOr(`/proc/${pid}/fdinfo/${name}`) ?? '')) pins.push(unknown(pid, '', 'flight'))
    }
  }
  return pins
}

/** The file that a socket is bound to. False if it is on another file system. */
function addBound(pins: Pin[], file: string, pid: number | null, bound: Fd, device: string): boolean {
  if (deviceOf(bound, '', AT_EMPTY_PATH) !== device) return false
  const found: Pin[] = []
  const path = `/proc/self/fd/${bound}`
  add(found, path, 'socket', pid, linkOf(path) ?? '')
  pins.push(...found.map((pin) => ({ ...pin, file })))
  return true
}

function add(
  pins: Pin[],
  file: string,
  kind: PinKind,
  pid: number | null,
  path: string,
  ids?: ReadonlySet<number>,
): void {
  const isTold = kind === 'open' && mayTellFolder(path) && takeHandle(file, AT_HANDLE_CONNECTABLE)
  if (!isTold && !takeHandle(file, 0)) return
  if (ids && !ids.has(mountId.readInt32LE())) return
  const found = readHandle(handle)
  if (found) pins.push(pinOf(found, pid, kind, path, file))
}

function takeHandle(file: string, flags: number): boolean {
  handle.writeUInt32LE(MAX_HANDLE_SZ, fileHandle.handle_bytes)
  return rawSyscall('name_to_handle_at', AT_FDCWD, cstring(file), handle, mountId, AT_SYMLINK_FOLLOW | flags) >= 0
}

function pinOf({ node, folder }: FileHandle, pid: number | null, kind: PinKind, path: string, file: string): Pin {
  const { low: nodeLow, high: nodeHigh, generation } = node
  return { pid, command: commandOf(pid), path, kind, nodeLow, nodeHigh, generation, file, folder }
}

function watches(pins: Pin[], pid: number, file: string, sdev: string): void {
  for (const line of (readOr(file) ?? '').split('\n')) {
    const hex = line.includes(sdev) ? /fhandle-type:8[12] f_handle:([0-9a-f]{24})/.exec(line)?.[1] : undefined
    if (hex === undefined) continue
    const bytes = Buffer.from(hex, 'hex')
    pins.push(pinOf({ node: nodeAt(bytes, 0), folder: null }, pid, 'watch', '', file))
  }
}

/** The device as inotify's fdinfo has it. */
const sdevOf = (device: string): string => ` sdev:${connectionOf(device).toString(16)} `

/** `00:2c` for `0:44`, as /proc/PID/maps has it. */
const hexOf = (device: string): string =>
  device
    .split(':')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join(':')
