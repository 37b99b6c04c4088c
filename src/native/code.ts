// Machine code of ours that this process calls: mapped from a sealed memfd, so that no page is ever writable and executable.
import { closeFd } from './descriptor.js'
import { SyscallError } from './error.js'
import { rawSyscall } from './ffi.js'
import { executableMemfd } from './memfd.js'

const PROT_READ_EXEC = 5
const MAP_PRIVATE = 2

/**
 * Maps machine code for as long as the process lives. Returns its address, which every thread may call (`callable`).
 * @throws SyscallError, EACCES or EPERM where the machine forbids executable memory
 */
export function mapCode(name: string, code: Buffer): number {
  const fd = executableMemfd(name, code)
  try {
    const address = rawSyscall('mmap', 0, code.length, PROT_READ_EXEC, MAP_PRIVATE, fd, 0)
    if (address < 0) throw new SyscallError('mmap', -address, name)
    return address
  } finally {
    closeFd(fd)
  }
}
