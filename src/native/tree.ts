// Names in folders: making, removing and moving them. Returns and arguments as file-handles.ts says.
import { rawSyscall } from './ffi.js'

export const openAt = (fd: number, name: number | Buffer, flags: number, mode = 0): number =>
  rawSyscall('openat', fd, name, flags, mode)
export const mkdirAt = (fd: number, name: number | Buffer, mode: number): number =>
  rawSyscall('mkdirat', fd, name, mode)

/** @param device as the kernel's new_encode_dev has it, in 32 bits */
export const mknodAt = (fd: number, name: number, mode: number, device: number): number =>
  rawSyscall('mknodat', fd, name, mode, device)
export const symlinkAt = (target: number, fd: number, name: number): number => rawSyscall('symlinkat', target, fd, name)
export const linkAt = (fd: number, name: number, newFd: number, newName: number, flags: number): number =>
  rawSyscall('linkat', fd, name, newFd, newName, flags)
export const unlinkAt = (fd: number, name: number | Buffer, flags: number): number =>
  rawSyscall('unlinkat', fd, name, flags)
export const renameAt = (fd: number, name: number, newFd: number, newName: number, flags: number): number =>
  rawSyscall('renameat2', fd, name, newFd, newName, flags)
export const readlinkAt = (fd: number, name: number, at: number, size: number): number =>
  rawSyscall('readlinkat', fd, name, at, size)

/** Flags of renameat2(2). */
export const renameFlags = { RENAME_NOREPLACE: 1, RENAME_EXCHANGE: 2, RENAME_WHITEOUT: 4 } as const

const OPEN_TREE_CLONE = 1

/**
 * A mount of the folder `path` alone, attached nowhere: what is mounted below it is not part of it, and what is mounted
 * over it later does not show. The result is O_PATH. Needs CAP_SYS_ADMIN. Source: open_tree(2).
 */
export const openDetached = (fd: number, path: Buffer, cloexec: number): number =>
  rawSyscall('open_tree', fd, path, OPEN_TREE_CLONE | cloexec)
