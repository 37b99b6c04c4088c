// Memory with a known address, for the hot paths: a struct inside it is handed to the kernel as a number, without a
// Buffer object per call.
import { writePointer } from './ffi.js'

export interface Block {
  readonly bytes: Buffer
  readonly view: DataView
  /** Where the bytes lie in this process. Stays valid as long as the block is referenced. */
  readonly address: number
}

/** A zeroed block of `size` bytes. Its pages cost nothing until they are touched. */
export function allocate(size: number): Block {
  const bytes = Buffer.from(new ArrayBuffer(size))
  const cell = Buffer.alloc(8)
  writePointer(cell, 0, bytes)
  return { bytes, view: new DataView(bytes.buffer), address: Number(cell.readBigUInt64LE()) }
}
