// File handles: a file's name that outlives processes and renames. Source: open_by_handle_at(2).
//
// The functions of this file and of files.ts, tree.ts, attributes.ts and xattr.ts are for servers: they take addresses
// (memory.ts), return what the kernel returns, a negative errno included, and never throw.
import { rawSyscall } from './ffi.js'

/** The largest f_handle, in bytes. */
export const MAX_HANDLE_SZ = 128

/** struct file_handle { u32 handle_bytes; i32 handle_type; u8 f_handle[] } */
export const fileHandle = { handle_bytes: 0, handle_type: 4, f_handle: 8 } as const

/**
 * The handle of `name` in the folder `fd`. `handle.handle_bytes` must hold the room before, and holds the length after.
 * @param mountId the address of an int that the kernel fills
 */
export const nameToHandle = (fd: number, name: number, handle: number, mountId: number, flags: number): number =>
  rawSyscall('name_to_handle_at', fd, name, handle, mountId, flags)

/** Opens what the handle names on the file system of `mountFd`, which must not be O_PATH. ESTALE: there is no such file. */
export const openByHandle = (mountFd: number, handle: number, flags: number): number =>
  rawSyscall('open_by_handle_at', mountFd, handle, flags)
