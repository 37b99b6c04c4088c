// What one process may ask about and do to itself and its children: prctl(2), kcmp(2), wait4(2), flock(2).
import { readFileSync } from 'node:fs'
import { failedWith } from './error.js'
import { rawSyscall } from './ffi.js'
import { syscall } from './syscall.js'
import type { Fd, Pid, RemoteFd } from './types.js'

const PR_SET_CHILD_SUBREAPER = 36
const KCMP_FILE = 0
const KCMP_FILES = 2
const KCMP_FS = 3
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

/**
 * The same, for descriptors that may be gone: false then.
 * @param untold what is said where it can't be told: without kcmp, or without the right to
 */
export function isSameFile(pid1: Pid, fd1: number, pid2: Pid, fd2: RemoteFd | Fd, untold: boolean): boolean {
  try {
    return sameOpenFile(pid1, fd1, pid2, fd2)
  } catch (error) {
    if (failedWith(error, 'ENOSYS', 'EPERM')) return untold
    if (failedWith(error, 'ESRCH', 'EBADF')) return false
    throw error
  }
}

/**
 * True if a thread has open files of its own, or a current or root folder: clone(2), CLONE_FILES and CLONE_FS. False as well
 * where that can't be told.
 */
export const isApart = (pid: Pid, tid: number): boolean =>
  [KCMP_FILES, KCMP_FS].some((which) => rawSyscall('kcmp', pid, tid, which, 0, 0) > 0)

/** How a process ended: one of the two is a number. Both are null where the kernel does not tell. */
export interface Exit {
  readonly code: number | null
  readonly signal: number | null
}

/**
 * How a process that has ended did so; it is not reaped by this. For a child of ours by waitid(2); for any other by the
 * PIDFD_GET_INFO ioctl (Linux 6.15 and later) once its parent has reaped it, and by field 52 of its stat before that.
 */
export function exitOf(pidfd: Fd, pid: Pid): Exit {
  siginfo.fill(0)
  if (rawSyscall('waitid', P_PIDFD, pidfd, siginfo, WEXITED | WNOHANG | WNOWAIT, 0) === 0) {
    const status = siginfo.readInt32LE(SI_STATUS)
    return siginfo.readInt32LE(SI_CODE) === CLD_EXITED ? { code: status, signal: null } : { code: null, signal: status }
  }
  // It may be reaped just between the two looks.
  return exitOfReaped(pidfd) ?? exitOfZombie(pid) ?? exitOfReaped(pidfd) ?? { code: null, signal: null }
}

function exitOfReaped(pidfd: Fd): Exit | null {
  return askForExit(pidfd) === 0 ? fromWaitStatus(pidfdInfo.readInt32LE(EXIT_CODE)) : null
}

/**
 * Asks a pidfd how its process ended. The kernel does not tell before it is reaped.
 * @returns 0 if it is told, else an errno: ENODATA if not, another where the ioctl is not known (Linux before 6.15)
 */
export function askForExit(pidfd: Fd): number {
  pidfdInfo.fill(0)
  pidfdInfo.writeBigUInt64LE(PIDFD_INFO_EXIT, 0)
  const result = rawSyscall('ioctl', pidfd, PIDFD_GET_INFO, pidfdInfo)
  if (result < 0) return -result
  return pidfdInfo.readBigUInt64LE(0) & PIDFD_INFO_EXIT ? 0 : ENODATA
}

/** Source: proc_pid_stat(5), exit_code; zero without ptrace access, as is that of a process which exited with 0. */
function exitOfZombie(pid: Pid): Exit | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    // X: it is just being reaped.
    return 'ZX'.includes(fields[0] ?? '-') ? fromWaitStatus(Number(fields[EXIT_CODE_FIELD - 3])) : null
  } catch {
    return null
  }
}

/**
 * Reaps one child that has ended, so that no zombie stays, and tells how it ended. Only for children that Node did not start:
 * libuv waits for its own. Null if it runs on; an unknown end of one that is no child of ours. Source: wait4(2).
 */
export function reap(pid: Pid): Exit | null {
  const result = rawSyscall('wait4', pid, waitStatus, WNOHANG, 0)
  if (result === pid) return fromWaitStatus(waitStatus.readInt32LE())
  return result === 0 ? null : { code: null, signal: null }
}
const waitStatus = Buffer.alloc(4)

function fromWaitStatus(word: number): Exit {
  const signal = word & 0x7f
  return signal === 0 ? { code: (word >> 8) & 0xff, signal: null } : { code: null, signal }
}

// include/uapi/linux/wait.h, and siginfo_t as sigaction(2) has it
const WNOHANG = 1
const WEXITED = 4
const WNOWAIT = 0x0100_0000
const P_PIDFD = 3
const CLD_EXITED = 1
const SI_CODE = 8
const SI_STATUS = 24
const siginfo = Buffer.alloc(128)

// include/uapi/linux/pidfd.h: struct pidfd_info of 64 bytes, exit_code its last field, which later kernels take as well;
// _IOWR(PIDFS_IOCTL_MAGIC, 11, …)
const PIDFD_GET_INFO = 0xc040ff0b
const PIDFD_INFO_EXIT = 8n
const ENODATA = 61
const EXIT_CODE = 60
const EXIT_CODE_FIELD = 52
const pidfdInfo = Buffer.alloc(64)

/** Takes the exclusive lock of an open file, which the kernel drops when we die. False if another has it. Source: flock(2). */
export function lockFile(fd: number): boolean {
  return rawSyscall('flock', fd, LOCK_EX | LOCK_NB) === 0
}
