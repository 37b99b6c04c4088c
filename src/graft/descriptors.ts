// What procfs says of the descriptors that are to get another file, and of all that refers to their present one besides:
// epoll sets keep the file they were given, and so do io_uring's registered files.
import { readdirSync, readlinkSync } from 'node:fs'
import { linkOf, readOr } from '../kernel/procfs.js'
import { mayBe, ringFiles } from '../kernel/ring-files.js'
import { type EpollEntry, epollEntries } from '../native/epoll.js'
import { failedWith } from '../native/error.js'
import { sameOpenFile } from '../native/process.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'
import { GraftError } from './error.js'

const O_CLOEXEC = 0o2000000
const O_NONBLOCK = 0o4000

export interface Descriptor {
  readonly fd: RemoteFd
  readonly cloexec: boolean
  readonly nonblocking: boolean
}

/** An entry of an epoll set. */
export interface Watch extends EpollEntry {
  readonly set: RemoteFd
}

/** @throws GraftError `ended`, `no-channel` if the descriptor is closed */
export function describe(pid: Pid, fd: RemoteFd): Descriptor {
  const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(infoOf(pid, fd))?.[1] ?? '', 8)
  if (Number.isNaN(flags)) {
    namesIn(pid)
    throw new GraftError('no-channel', pid, `fd ${fd}`)
  }
  return { fd, cloexec: (flags & O_CLOEXEC) !== 0, nonblocking: (flags & O_NONBLOCK) !== 0 }
}

/**
 * The epoll sets of a process.
 * @param linkTexts what the files that are to be exchanged are called
 * @throws GraftError `io-uring` if an io_uring of the process has one of these files registered
 */
export function epollSetsOf(pid: Pid, linkTexts: ReadonlySet<string>): RemoteFd[] {
  const sets: RemoteFd[] = []
  for (const [fd, link] of linksOf(pid)) {
    if (link === 'anon_inode:[eventpoll]') sets.push(fd)
    if (link === 'anon_inode:[io_uring]' && registers(infoOf(pid, fd), linkTexts))
      throw new GraftError('io-uring', pid, `fd ${fd}`)
  }
  return sets
}

/** The entries of these descriptors in the sets. */
export const watchesIn = (pid: Pid, sets: readonly RemoteFd[], fds: ReadonlySet<number>): Watch[] =>
  sets.flatMap((set) =>
    epollEntries(infoOf(pid, set)).flatMap((entry) => (fds.has(entry.fd) ? [{ set, ...entry }] : [])),
  )

const registers = (info: string, linkTexts: ReadonlySet<string>): boolean =>
  ringFiles(info).some((name) => [...linkTexts].some((link) => mayBe(name, link)))

/** The descriptors of a process that are the same open file as one of ours. */
export function copiesOf(pid: Pid, file: Fd): RemoteFd[] {
  const text = readlinkSync(`/proc/self/fd/${file}`)
  return [...linksOf(pid)].filter(([fd, link]) => link === text && isSame(pid, fd, file)).map(([fd]) => fd)
}

/** The descriptors of a process whose file is called so, as sockets by their number; none that may not be seen. */
export function fdsCalled(pid: Pid, text: string): RemoteFd[] {
  try {
    return [...linksOf(pid)].filter(([, link]) => link === text).map(([fd]) => fd)
  } catch (error) {
    if (error instanceof GraftError) return []
    throw error
  }
}

/** As /proc/PID/fd shows it, `/dev/fuse`. */
export const linkTextOf = (pid: Pid, fd: RemoteFd): string => linkOf(`/proc/${pid}/fd/${fd}`) ?? ''

function isSame(pid: Pid, fd: RemoteFd, file: Fd): boolean {
  try {
    return sameOpenFile(pid, fd, process.pid as Pid, file)
  } catch (error) {
    // Sockets and pipes have a number in their names; where the kernel has no kcmp, that must do.
    if (failedWith(error, 'ENOSYS')) return true
    if (failedWith(error, 'ESRCH', 'EBADF')) return false
    throw error
  }
}

function* linksOf(pid: Pid): Generator<[RemoteFd, string]> {
  for (const name of namesIn(pid)) yield [Number(name) as RemoteFd, linkOf(`/proc/${pid}/fd/${name}`) ?? '']
}

/** Its descriptors. A process that is ending has closed them all before it is a zombie. */
function namesIn(pid: Pid): string[] {
  try {
    const names = readdirSync(`/proc/${pid}/fd`)
    if (names.length > 0) return names
  } catch (error) {
    if (failedWith(error, 'EACCES', 'EPERM')) throw new GraftError('no-right', pid, undefined, { cause: error })
    if (!failedWith(error, 'ENOENT', 'ESRCH')) throw error
  }
  throw new GraftError('ended', pid)
}

const infoOf = (pid: Pid, fd: RemoteFd): string => readOr(`/proc/${pid}/fdinfo/${fd}`) ?? ''
