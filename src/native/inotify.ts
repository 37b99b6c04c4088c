// Being told of what is done with a file: inotify(7).
import { closeFd } from './descriptor.js'
import { cstring, rawSyscall } from './ffi.js'
import { syscall } from './syscall.js'
import type { Fd } from './types.js'

export const inotifyEvents = { IN_OPEN: 0x20 } as const

const IN_CLOEXEC = 0o2000000
const IN_NONBLOCK = 0o4000

/**
 * A descriptor that becomes readable when one of the events has come, whoever caused it, at whatever name of the file.
 * @throws SyscallError, EMFILE when the user has fs.inotify.max_user_instances, ENOSPC, ENOENT, EACCES
 */
export function inotifyOf(path: string, events: number): Fd {
  const fd = syscall('inotify_init1', 'an inotify', IN_CLOEXEC | IN_NONBLOCK) as Fd
  try {
    syscall('inotify_add_watch', path, fd, cstring(path), events)
    return fd
  } catch (error) {
    closeFd(fd)
    throw error
  }
}

/** Takes all that has come, so that the descriptor is readable only when more does. */
export function drainInotify(fd: Fd): void {
  while (rawSyscall('read', fd, drain, drain.length) === drain.length);
}

/** Events of a file that is no folder have no name: 16 bytes each. */
const drain = Buffer.alloc(4096)
