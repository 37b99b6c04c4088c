// Extended attributes, by path: an O_PATH descriptor has them at /proc/self/fd/N. Returns and arguments as
// file-handles.ts says. Source: setxattr(2), getxattr(2).
import { rawSyscall } from './ffi.js'

export const setXattr = (path: number, name: number, value: number, size: number, flags: number): number =>
  rawSyscall('setxattr', path, name, value, size, flags)
export const getXattr = (path: number, name: number, value: number, size: number): number =>
  rawSyscall('getxattr', path, name, value, size)
export const listXattr = (path: number, list: number, size: number): number => rawSyscall('listxattr', path, list, size)
export const removeXattr = (path: number, name: number): number => rawSyscall('removexattr', path, name)

export const xattrFlags = { XATTR_CREATE: 1, XATTR_REPLACE: 2 } as const
