// Our programs as something to spawn: each is assembled once and lives in a memfd of this process.
import { arch } from '../native/arch.js'
import { executableMemfd } from '../native/memfd.js'
import type { Fd } from '../native/types.js'
import { imageOf, type ProgramName, programs } from './image.js'

/**
 * A path to spawn one of our programs by, valid as long as this process lives. Give it an argv[0] of its own.
 * @throws SyscallError, EACCES where the machine forbids executable memfds (`vm.memfd_noexec`)
 */
export function executable(name: ProgramName): string {
  const fd = memfds.get(name) ?? executableMemfd(programs[name].name, imageOf(name, arch))
  memfds.set(name, fd)
  return `/proc/${process.pid}/fd/${fd}`
}

const memfds = new Map<ProgramName, Fd>()
