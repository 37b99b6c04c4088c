// Mounting and unmounting: mount(2), umount2(2) and the file-descriptor based calls fsopen(2), fsconfig(2), fsmount(2).
import { closeFd } from './descriptor.js'
import { cstring } from './ffi.js'
import { syscall } from './syscall.js'
import type { Fd } from './types.js'

/** Flags of umount2(2). */
export const umountFlags = { MNT_FORCE: 1, MNT_DETACH: 2, UMOUNT_NOFOLLOW: 8 } as const

/** Flags of mount(2) that a FUSE mount takes. */
export const mountFlags = { MS_RDONLY: 1, MS_NOSUID: 2, MS_NODEV: 4, MS_NOATIME: 1024 } as const

/** mount(2). @throws SyscallError */
export function mount(source: string, target: string, type: string, flags: number, data: string): void {
  syscall('mount', target, cstring(source), cstring(target), cstring(type), flags, cstring(data))
}

/** umount2(2). It does not ask the daemon of the mount for anything. @throws SyscallError */
export function umount(target: string, flags: number): void {
  syscall('umount2', target, cstring(target), flags)
}

const FSOPEN_CLOEXEC = 1
const FSMOUNT_CLOEXEC = 1
const FSCONFIG_SET_STRING = 1
const FSCONFIG_CMD_CREATE = 6
const FSCONFIG_CMD_RECONFIGURE = 7
const FSPICK_CLOEXEC = 1
const FSPICK_EMPTY_PATH = 8

/**
 * A new file system of this type that is attached nowhere; its files are under `/proc/self/fd/<fd>/`. It is gone when
 * the fd is closed. Needs CAP_SYS_ADMIN. Source: fsopen(2), fsmount(2).
 * @throws SyscallError
 */
export function detachedMount(type: string, options: Readonly<Record<string, string>> = {}): Fd {
  const context = syscall('fsopen', type, cstring(type), FSOPEN_CLOEXEC) as Fd
  try {
    for (const [key, value] of Object.entries(options))
      syscall('fsconfig', `${type} ${key}=${value}`, context, FSCONFIG_SET_STRING, cstring(key), cstring(value), 0)
    syscall('fsconfig', type, context, FSCONFIG_CMD_CREATE, 0, 0, 0)
    return syscall('fsmount', type, context, FSMOUNT_CLOEXEC, 0) as Fd
  } finally {
    closeFd(context)
  }
}

/**
 * Reconfigures the file system of a mount without changing anything, for which the kernel drops every cached name of it
 * that nothing uses. The mount's flags stay as they are, which mount(2) with MS_REMOUNT would rewrite.
 * @throws SyscallError
 */
export function reconfigure(mount: Fd): void {
  const context = syscall('fspick', `fd ${mount}`, mount, cstring(''), FSPICK_CLOEXEC | FSPICK_EMPTY_PATH) as Fd
  try {
    syscall('fsconfig', `fd ${mount}`, context, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0)
  } finally {
    closeFd(context)
  }
}
