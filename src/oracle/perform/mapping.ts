// A shared mapping of a file that JavaScript can touch: laid over memory of our own, whose place is known.
import { failedWith } from '../../native/error.js'
import { rawSyscall } from '../../native/ffi.js'
import { allocate } from '../../native/memory.js'
import { syscall } from '../../native/syscall.js'

const PAGE = 65536
const PROT_READ_WRITE = 3
const MAP_SHARED = 1
const MAP_PRIVATE = 2
const MAP_FIXED = 0x10
const MAP_ANONYMOUS = 0x20

export interface Mapped {
  /** The file's bytes themselves. Behind the file's end they are SIGBUS. */
  readonly bytes: Buffer
  /** Ordinary memory again. The place is kept: V8 may free only what it allocated. */
  unmap(): void
}

/** @throws SyscallError from mmap(2) */
export function mapFile(fd: number, length: number): Mapped {
  const size = Math.ceil(length / PAGE) * PAGE
  const place = places.pop() ?? allocate(LARGEST + PAGE)
  const skip = (PAGE - (place.address % PAGE)) % PAGE
  const address = place.address + skip
  if (size > LARGEST) throw new RangeError(`a mapping of ${length} bytes`)
  try {
    syscall('mmap', `fd ${fd}`, address, size, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd, 0)
  } catch (error) {
    // The kernel may have taken away what was there before it asked the file system.
    if (!failedWith(error, 'EBADF', 'EACCES')) cover(address, size)
    places.push(place)
    throw error
  }
  return {
    bytes: place.bytes.subarray(skip, skip + length),
    unmap() {
      cover(address, size)
      places.push(place)
    },
  }
}

const LARGEST = 0x4_0000
const places: ReturnType<typeof allocate>[] = []

function cover(address: number, size: number): void {
  rawSyscall('mmap', address, size, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
}
