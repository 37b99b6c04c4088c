// Reading procfs, where whatever is asked about may have ended meanwhile.
import { readdirSync, readFileSync } from 'node:fs'
import { rawSyscall } from '../native/ffi.js'
import { allocate } from '../native/memory.js'
import { atFlags, openFlags } from '../native/open-flags.js'

const { AT_FDCWD } = atFlags
/** Of a path in procfs. */
const PATH_ROOM = 256
const ROOM = 4096
const path = allocate(PATH_ROOM)
const text = allocate(ROOM)

/** A file, or null if it is not there or not for us to read. */
export function readOr(name: string): string | null {
  try {
    return readFileSync(name, 'utf8')
  } catch {
    return null
  }
}

/** The names in a folder; none if it is not there or not for us to read. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** Where a link leads, or null; without an exception for each process that has ended, and without garbage. */
export function linkOf(name: string): string | null {
  const size = rawSyscall('readlinkat', AT_FDCWD, written(name), text.address, ROOM)
  return size < 0 ? null : text.bytes.toString('utf8', 0, size)
}

/** The first lines of a file, or an empty text, in a third of the time that `readOr` takes. */
export function beginningOf(name: string): string {
  const fd = rawSyscall('openat', AT_FDCWD, written(name), openFlags.O_CLOEXEC, 0)
  if (fd < 0) return ''
  const size = rawSyscall('read', fd, text.address, ROOM)
  rawSyscall('close', fd)
  return size < 0 ? '' : text.bytes.toString('latin1', 0, size)
}

function written(name: string): number {
  path.bytes[path.bytes.write(name, 'latin1')] = 0
  return path.address
}
