// Reading and writing open files at given offsets. Returns and arguments as file-handles.ts says.
import { rawSyscall } from './ffi.js'

export const read = (fd: number, at: number, size: number): number => rawSyscall('read', fd, at, size)
export const write = (fd: number, at: number, size: number): number => rawSyscall('write', fd, at, size)
export const pread = (fd: number, at: number, size: number, offset: number): number =>
  rawSyscall('pread64', fd, at, size, offset)
export const pwrite = (fd: number, at: number, size: number, offset: number): number =>
  rawSyscall('pwrite64', fd, at, size, offset)
export const close = (fd: number): number => rawSyscall('close', fd)
export const ftruncate = (fd: number, size: number): number => rawSyscall('ftruncate', fd, size)
export const truncate = (path: number, size: number): number => rawSyscall('truncate', path, size)
export const fsync = (fd: number, dataOnly: boolean): number => rawSyscall(dataOnly ? 'fdatasync' : 'fsync', fd)
export const fallocate = (fd: number, mode: number, offset: number, length: number): number =>
  rawSyscall('fallocate', fd, mode, offset, length)

/** lseek(2). A folder's offsets are cookies of 64 bits, so they come as bigint. */
export const lseek = (fd: number, offset: number | bigint, whence: number): number =>
  rawSyscall('lseek', fd, offset, whence)

/** getdents64(2): rows of { u64 d_ino; i64 d_off; u16 d_reclen; u8 d_type; char d_name[] }. */
export const getdents = (fd: number, at: number, size: number): number => rawSyscall('getdents64', fd, at, size)
export const dirent64 = { d_ino: 0, d_off: 8, d_reclen: 16, d_type: 18, d_name: 19 } as const

/** copy_file_range(2). The two offsets are addresses of i64. */
export const copyFileRange = (from: number, fromOffset: number, to: number, toOffset: number, length: number): number =>
  rawSyscall('copy_file_range', from, fromOffset, to, toOffset, length, 0)

const F_GETFL = 3
const F_SETFL = 4
const F_SETFD = 2
const FD_CLOEXEC = 1

/** Adds status flags, as O_NONBLOCK, to an open file: all who hold a copy of it are concerned. */
export function addStatusFlags(fd: number, flags: number): number {
  const present = rawSyscall('fcntl', fd, F_GETFL)
  return present < 0 ? present : rawSyscall('fcntl', fd, F_SETFL, present | flags)
}

export const setCloseOnExec = (fd: number): number => rawSyscall('fcntl', fd, F_SETFD, FD_CLOEXEC)

const O_NONBLOCK = 0o4000

/** Makes an open file block or not: all who hold a copy of it are concerned. */
export function setNonblocking(fd: number, nonblocking: boolean): number {
  const present = rawSyscall('fcntl', fd, F_GETFL)
  if (present < 0) return present
  return rawSyscall('fcntl', fd, F_SETFL, nonblocking ? present | O_NONBLOCK : present & ~O_NONBLOCK)
}

/** Does something with an open file that does not block meanwhile, which concerns all who hold a copy of it. */
export function withoutBlocking<Result>(fd: number, work: () => Result): Result {
  const wasBlocking = (rawSyscall('fcntl', fd, F_GETFL) & O_NONBLOCK) === 0
  if (wasBlocking) setNonblocking(fd, true)
  try {
    return work()
  } finally {
    if (wasBlocking) setNonblocking(fd, false)
  }
}
