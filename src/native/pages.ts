// Large blocks of memory with pages of their own, for messages: lent, and given back with their pages. Allocated anew each
// time they would stay with the process, and be touched as a whole once malloc takes them from what it was given back.
import { rawSyscall, viewAt } from './ffi.js'
import type { Block } from './memory.js'

const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22
const MADV_DONTNEED = 4

/** A zeroed block of at least `size` bytes. @throws RangeError if there is no memory */
export function borrowPages(size: number): Block {
  const found = spare.findIndex(({ bytes }) => bytes.length >= size)
  const [block] = found < 0 ? [] : spare.splice(found, 1)
  if (block) return block
  const address = rawSyscall('mmap', 0, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
  if (address < 0) throw new RangeError(`no memory for ${size} bytes: errno ${-address}`)
  const bytes = viewAt(address, size)
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, size), address }
}

/** Gives a block back, which nobody may use any more. */
export function returnPages(block: Block): void {
  rawSyscall('madvise', block.address, block.bytes.length, MADV_DONTNEED)
  spare.push(block)
}

/** What of a block lies behind `offset`. */
export function partFrom({ bytes, address }: Block, offset: number): Block {
  const part = bytes.subarray(offset)
  return { bytes: part, view: new DataView(part.buffer, part.byteOffset, part.length), address: address + offset }
}

/** Of this thread. */
const spare: Block[] = []
