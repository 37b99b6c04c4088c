// A system call that throws a typed error when it fails.
import { SyscallError } from './error.js'
import { type Argument, rawSyscall } from './ffi.js'
import type { SyscallName } from './syscall-numbers.js'

/**
 * One system call about `subject`. Returns what the kernel returns.
 * @throws SyscallError if the call fails
 */
export function syscall(name: SyscallName, subject: string, ...args: Argument[]): number {
  const result = rawSyscall(name, ...(args as [Argument]))
  if (result < 0) throw new SyscallError(name, -result, subject)
  return result
}
