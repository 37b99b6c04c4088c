// What stands in an inode. Returns and arguments as file-handles.ts says.
import { rawSyscall } from './ffi.js'

/** Everything that stat(2) tells, without the birth time. */
export const STATX_BASIC_STATS = 0x7ff
export const STATX_BTIME = 0x800

/** statx(2). `at` is the address of a struct statx of 256 bytes. */
export const statx = (fd: number, name: number, flags: number, mask: number, at: number): number =>
  rawSyscall('statx', fd, name, flags, mask, at)
export const STATX_SIZE = 256

/** fstatfs(2). `at` is the address of a struct statfs: f_type, f_bsize, f_blocks … in 8 bytes each. */
export const fstatfs = (fd: number, at: number): number => rawSyscall('fstatfs', fd, at)
export const statfs64 = {
  f_bsize: 8,
  f_blocks: 16,
  f_bfree: 24,
  f_bavail: 32,
  f_files: 40,
  f_ffree: 48,
  f_namelen: 64,
  f_frsize: 72,
} as const

export const chmodAt = (fd: number, name: number, mode: number): number => rawSyscall('fchmodat', fd, name, mode)
export const chownAt = (fd: number, name: number, uid: number, gid: number, flags: number): number =>
  rawSyscall('fchownat', fd, name, uid, gid, flags)

/** utimensat(2). `times` is the address of two struct timespec { i64 tv_sec; i64 tv_nsec }. */
export const utimensAt = (fd: number, name: number, times: number, flags: number): number =>
  rawSyscall('utimensat', fd, name, times, flags)
export const UTIME_NOW = 0x3fff_ffff
export const UTIME_OMIT = 0x3fff_fffe
