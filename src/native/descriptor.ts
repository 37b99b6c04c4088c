// Our own file descriptors that Node does not know of.
import { syscall } from './syscall.js'
import type { Fd } from './types.js'

/** close(2). @throws SyscallError, EBADF if it was closed before: two owners are a defect */
export function closeFd(fd: Fd): void {
  syscall('close', `fd ${fd}`, fd)
}

const F_DUPFD_CLOEXEC = 1030

/** A second descriptor of the same open file, CLOEXEC. Source: fcntl(2). @throws SyscallError */
export const duplicateFd = (fd: Fd): Fd => syscall('fcntl', `fd ${fd}`, fd, F_DUPFD_CLOEXEC, 0) as Fd
