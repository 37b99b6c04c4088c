// Our programs as something to spawn: each is assembled once and lives in a memfd of this process.
import { arch } from '../native/arch.js'
import { mapCode } from '../native/code.js'
import { failedWith } from '../native/error.js'
import { executableMemfd } from '../native/memfd.js'
import type { Fd } from '../native/types.js'
import { codeOf, type FunctionName, functions, imageOf, type ProgramName, programs } from './image.js'

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

/** The address of one of our functions, valid as long as this process lives; null where executable memory is forbidden. */
export function functionAddress(name: FunctionName): number | null {
  const known = addresses.get(name)
  if (known !== undefined) return known
  let address: number | null = null
  try {
    address = mapCode(functions[name].name, codeOf(functions[name], arch))
  } catch (error) {
    if (!failedWith(error, 'EACCES', 'EPERM', 'ENOSYS', 'ENOMEM', 'EMFILE', 'ENFILE')) throw error
  }
  addresses.set(name, address)
  return address
}

const addresses = new Map<FunctionName, number | null>()
