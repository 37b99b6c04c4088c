// Processes by file descriptor: pidfd_open(2), pidfd_getfd(2), pidfd_send_signal(2). A pidfd goes on naming the process it
// was opened for when the pid has been given to another; it polls readable (POLLIN) once that process has ended.
import { constants } from 'node:os'
import { failedWith, SyscallError } from './error.js'
import { rawSyscall } from './ffi.js'
import { syscall } from './syscall.js'
import type { Fd, Pid, RemoteFd } from './types.js'

/**
 * A file descriptor that names a process. The kernel makes it CLOEXEC. Source: pidfd_open(2).
 * @throws SyscallError, ESRCH if there is no such process, EINVAL for a thread that does not lead its process
 */
export const pidfdOpen = (pid: Pid): Fd => syscall('pidfd_open', `pid ${pid}`, pid, 0) as Fd

/** The same, or none if there is no such process any more. @throws SyscallError */
export function pidfdIfAlive(pid: Pid): Fd[] {
  try {
    return [pidfdOpen(pid)]
  } catch (error) {
    if (failedWith(error, 'ESRCH')) return []
    throw error
  }
}

/**
 * A copy of another process's file descriptor: the same open file, CLOEXEC here. Needs ptrace access
 * (PTRACE_MODE_ATTACH_REALCREDS). Source: pidfd_getfd(2).
 * @throws SyscallError, EPERM without that access, EBADF if it has no such fd, ESRCH if it has ended
 */
export const pidfdGetfd = (pidfd: Fd, fd: RemoteFd): Fd =>
  syscall('pidfd_getfd', `fd ${fd} through pidfd ${pidfd}`, pidfd, fd, 0) as Fd

/**
 * Sends a signal, by number (`os.constants.signals`), to the process a pidfd names; signal 0 only asks. False if that
 * process has ended and been reaped. Source: pidfd_send_signal(2).
 * @throws SyscallError, EPERM without the right to
 */
export function pidfdSendSignal(pidfd: Fd, signal: number): boolean {
  const result = rawSyscall('pidfd_send_signal', pidfd, signal, 0, 0)
  if (result < 0 && result !== -constants.errno.ESRCH)
    throw new SyscallError('pidfd_send_signal', -result, `signal ${signal} through pidfd ${pidfd}`)
  return result === 0
}
