// Unix sockets that are bound to a name: the socket holds the file, and neither its process nor its descriptor shows which.
// The kernel opens it for whoever has the socket as well. Source: unix(7), proc_net(5); net/unix/af_unix.c, unix_open_file.
import { linkOf, readOr } from '../../kernel/procfs.js'
import { closeFd } from '../../native/descriptor.js'
import { rawSyscall } from '../../native/ffi.js'
import type { Fd } from '../../native/types.js'

/** SIOCPROTOPRIVATE. Source: include/uapi/linux/un.h. */
const SIOCUNIXFILE = 0x89e0
/** A line of /proc/net/unix: address, count, protocol, flags, type, state, inode, name. An abstract name begins with `@`. */
const BOUND = /^\S+ \S+ \S+ \S+ \S+ \S+ +(\d+) ([^@\n].*)$/gm

/** The sockets of one process after the other, in all network namespaces. */
export class BoundSockets {
  /** The names that were given, by the inode number of the socket, by network namespace. */
  private readonly spaces = new Map<string, Map<string, string>>()
  private pid = 0
  private names = new Map<string, string>()
  /** Names of the present process that are of no interest. */
  private readonly others = new Set<string>()

  /**
   * @param link of the descriptor, as `socket:[123]`
   * @param isWanted is given, for a moment, the file that it is bound to; false if it is of no interest, nor is
   * what else is bound to that name: all that a listener has accepted is
   */
  look(pid: number, fd: number, link: string, isWanted: (file: Fd) => boolean): void {
    this.turnTo(pid)
    const name = this.names.get(/\d+/.exec(link)?.[0] ?? '')
    if (name === undefined || this.others.has(name)) return
    if (!withBound(pid, fd, isWanted)) this.others.add(name)
  }

  private turnTo(pid: number): void {
    if (pid === this.pid) return
    this.pid = pid
    this.others.clear()
    const space = linkOf(`/proc/${pid}/ns/net`) ?? ''
    this.names = this.spaces.get(space) ?? boundNames(pid)
    this.spaces.set(space, this.names)
  }
}

function boundNames(pid: number): Map<string, string> {
  const table = readOr(`/proc/${pid}/net/unix`) ?? ''
  return new Map([...table.matchAll(BOUND)].map(([, inode = '', name = '']) => [inode, name]))
}

/** What `use` says of the file that a process's socket is bound to; false if it is bound to none, or that is not for us to see. */
export function withBound(pid: number, fd: number, use: (file: Fd) => boolean): boolean {
  const pidfd = rawSyscall('pidfd_open', pid, 0)
  if (pidfd < 0) return false
  const socket = rawSyscall('pidfd_getfd', pidfd, fd, 0)
  closeFd(pidfd as Fd)
  if (socket < 0) return false
  const file = rawSyscall('ioctl', socket, SIOCUNIXFILE, 0)
  closeFd(socket as Fd)
  if (file < 0) return false
  try {
    return use(file as Fd)
  } finally {
    closeFd(file as Fd)
  }
}
