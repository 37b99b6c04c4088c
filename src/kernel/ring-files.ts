// The files that are registered with an io_uring, as its fdinfo lists them: it holds them without a descriptor. From Linux 6.13
// on they are called as in /proc/PID/fd, before that by their last names, where those are not long, and sockets by their protocol.
// Source: io_uring/fdinfo.c, io_uring_show_fdinfo.
import { basename } from 'node:path'

/** What each is called. @param info the fdinfo of the io_uring */
export function ringFiles(info: string): string[] {
  const [, rest = ''] = info.split(/^UserFiles:.*\n/m)
  const [rows = ''] = rest.split(/^\S/m)
  return [...rows.matchAll(/^ *\d+: (.*)$/gm)].map(([, name = '']) => name)
}

/** True if the file that is called `name` there may be the one that /proc/PID/fd calls `link`: `/dev/fuse`, a unix socket. */
export function mayBe(name: string, link: string): boolean {
  if (isWhole(name)) return name === link
  return link.startsWith('socket:') ? name.startsWith('UNIX') : name === basename(link)
}

/** True of a file that is on no mount. */
export const hasNoPath = (name: string): boolean =>
  isWhole(name) ? !name.startsWith('/') : name.startsWith('[') && name.endsWith(']')

/** True if it is called as in /proc/PID/fd. */
export const isWhole = (name: string): boolean => name.startsWith('/') || /^\w+:\[\d+\]$|^anon_inode:/.test(name)
