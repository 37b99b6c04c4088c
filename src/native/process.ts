// What one process may ask about and do to itself and its children: prctl(2), kcmp(2), wait4(2), flock(2).
import { rawSyscall } from './ffi.js'
import { syscall } from './syscall.js'
import type { Fd, Pid, RemoteFd } from './types.js'

const PR_SET_CHILD_SUBREAPER = 36
const KCMP_FILE = 0
const WNOHANG = 1
const LOCK_EX = 2
const LOCK_NB = 4

/** Makes orphans among our descendants our children, so that a daemon that forks twice stays in reach. Source: prctl(2). */
export function becomeSubreaper(): void {
  syscall('prctl', 'PR_SET_CHILD_SUBREAPER', PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

/**
 * True if the two descriptors are the same open file. Source: kcmp(2).
 * @throws SyscallError, EPERM without ptrace access to both, ENOSYS where the kernel has no kcmp
 */
export function sameOpenFile(pid1: Pid, fd1: number, pid2: Pid, fd2: RemoteFd | Fd): boolean {
  return syscall('kcmp', `fd ${fd1} of pid ${pid1} and fd ${fd2} of pid ${pid2}`, pid1, pid2, KCMP_FILE, fd1, fd2) === 0
}

/** How a process ended: one of the two is a number. Unknown, both null, for one that was not our child. */
export interface Exit {
  readonly code: number | null
  readonly signal: number | null
}

/**
 * Reaps one child that has ended. Null if it runs on or is no child of ours. Only for children that Node did not
 * start: libuv waits for its own. Source: wait4(2).
 */
export function reap(pid: Pid): Exit | null {
  if (rawSyscall('wait4', pid, status, WNOHANG, 0) !== pid) return null
  const word = status.readInt32LE()
  const signal = word & 0x7f
  return signal === 0 ? { code: (word >> 8) & 0xff, signal: null } : { code: null, signal }
}
const status = Buffer.alloc(8)

/** Takes the exclusive lock of an open file, which the kernel drops when we die. False if another has it. Source: flock(2). */
export function lockFile(fd: number): boolean {
  return rawSyscall('flock', fd, LOCK_EX | LOCK_NB) === 0
}
