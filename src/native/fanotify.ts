// Being told of what is done with a file, and by whom: fanotify(7). It needs CAP_SYS_ADMIN to tell of others.
import { closeFd } from './descriptor.js'
import { cstring, rawSyscall } from './ffi.js'
import { atFlags } from './open-flags.js'
import { syscall } from './syscall.js'
import type { Fd, Pid } from './types.js'

export const fanotifyEvents = { FAN_OPEN: 0x20 } as const

const FAN_CLOEXEC = 1
const FAN_NONBLOCK = 2
/** Events name the file by its handle: none has a descriptor, which would be one more opening. */
const FAN_REPORT_FID = 0x200
const FAN_MARK_ADD = 1
const { AT_FDCWD } = atFlags
// struct fanotify_event_metadata
const EVENT_LEN = 0
const PID = 20
const METADATA_SIZE = 24
/** Who caused an event is not known: the queue had no room for it, or it is in no pid namespace of ours. */
export const UNKNOWN_PID = 0 as Pid

/**
 * A descriptor that becomes readable when one of the events has come, at whatever name of the file.
 * @throws SyscallError, EPERM, EMFILE when the user has fs.fanotify.max_user_groups, ENODEV where the file system has no
 * handles, ENOENT, EACCES
 */
export function fanotifyOf(path: string, events: number): Fd {
  const fd = syscall('fanotify_init', 'a fanotify', FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID, 0) as Fd
  try {
    syscall('fanotify_mark', path, fd, FAN_MARK_ADD, events, AT_FDCWD, cstring(path))
    return fd
  } catch (error) {
    closeFd(fd)
    throw error
  }
}

/** Takes all that has come: the processes that caused it. */
export function takeCausers(fd: Fd): Set<Pid> {
  const pids = new Set<Pid>()
  for (;;) {
    const size = rawSyscall('read', fd, room, room.length)
    if (size < METADATA_SIZE) return pids
    for (let at = 0; at + METADATA_SIZE <= size; at += room.readUInt32LE(at + EVENT_LEN))
      pids.add(room.readInt32LE(at + PID) as Pid)
  }
}
const room = Buffer.alloc(4096)
