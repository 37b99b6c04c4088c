// Our own file descriptors that Node does not know of.
import { syscall } from './syscall.js'
import type { Fd } from './types.js'

/** close(2). @throws SyscallError, EBADF if it was closed before: two owners are a defect */
export function closeFd(fd: Fd): void {
  syscall('close', `fd ${fd}`, fd)
}
