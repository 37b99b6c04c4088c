// A program that is in no file system: memfd_create(2), written once and sealed.
import { writeSync } from 'node:fs'
import { closeFd } from './descriptor.js'
import { SyscallError } from './error.js'
import { cstring, rawSyscall } from './ffi.js'
import { syscall } from './syscall.js'
import type { Fd } from './types.js'

const MFD_CLOEXEC = 1
const MFD_ALLOW_SEALING = 2
/** Since Linux 6.3; before, every memfd can be executed. */
const MFD_EXEC = 0x10
const F_ADD_SEALS = 1033
/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE */
const ALL_SEALS = 1 | 2 | 4 | 8
const EINVAL = 22

/**
 * An executable file in memory that nobody can change any more; run it as `/proc/<our pid>/fd/<fd>`. CLOEXEC: no child
 * inherits it.
 * @throws SyscallError, EACCES where `vm.memfd_noexec` is 2
 */
export function executableMemfd(name: string, image: Buffer): Fd {
  const fd = create(name)
  try {
    if (writeSync(fd, image) !== image.length) throw new Error(`${name}: a short write to a memfd`)
    syscall('fcntl', `memfd ${name}`, fd, F_ADD_SEALS, ALL_SEALS)
    return fd
  } catch (error) {
    closeFd(fd)
    throw error
  }
}

function create(name: string): Fd {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING
  const text = cstring(name)
  const fd = rawSyscall('memfd_create', text, flags | MFD_EXEC)
  if (fd === -EINVAL) return syscall('memfd_create', name, text, flags) as Fd
  if (fd < 0) throw new SyscallError('memfd_create', -fd, name)
  return fd as Fd
}
