// The intent record: what this mount was about to do when its life ended. Requests are served one at a time, so there is
// one slot. It stands in the page cache, which kill -9 does not touch; a crash of the machine ends the mount as well.
//
//   | life u64 | unique u64 | opcode u32 | 0 u32 | nodeid u64 |
//   0          8            16                   24           32

import { opcodes } from '../fuse/opcodes.js'
import type { Request } from '../fuse/request.js'
import { pread, pwrite } from '../native/files.js'
import { allocate } from '../native/memory.js'

const at = { life: 0, unique: 8, opcode: 16, node: 24 } as const
const SIZE = 32

export class Intent {
  private readonly block = allocate(SIZE)
  private fd = -1

  /**
   * Reads what the last life left, and counts this one.
   * @param fd the state file, or -1: then nothing is kept
   * @returns the number of this life, from 1
   */
  begin(fd: number): number {
    this.fd = fd
    const { view } = this.block
    if (fd < 0) return 1 + (process.pid & 0xf_ffff)
    if (pread(fd, this.block.address, SIZE, 0) < SIZE) this.block.bytes.fill(0)
    const life = (view.getUint32(at.life, true) & 0xf_ffff) + 1
    view.setUint32(at.life, life, true)
    pwrite(fd, this.block.address, SIZE, 0)
    return life
  }

  /** What tells afterwards whether the change was made: the nodeid of the file that had the name before. */
  setNode(low: number, high: number): void {
    this.setPair(at.node, low, high)
  }
  get nodeLow(): number {
    return this.block.view.getUint32(at.node, true)
  }
  get nodeHigh(): number {
    return this.block.view.getUint32(at.node + 4, true)
  }
  /** Writes the record, with the facts set before, so that the next life can settle the request. */
  record(request: Request): void {
    this.setPair(at.unique, request.uniqueLow, request.uniqueHigh)
    this.block.view.setUint32(at.opcode, opcodes[request.opcode].number, true)
    if (this.fd >= 0) pwrite(this.fd, this.block.address, SIZE, 0)
  }

  /** Forgets the record: request ids begin anew with a fresh mount. */
  clear(): void {
    this.setPair(at.unique, 0, 0)
    if (this.fd >= 0) pwrite(this.fd, this.block.address, SIZE, 0)
  }

  /** True if the record is of this request. Its unique is compared without the bit of a resent one. */
  matches(request: Request): boolean {
    const { view } = this.block
    return (
      view.getUint32(at.unique, true) === request.uniqueLow &&
      view.getUint32(at.unique + 4, true) === request.uniqueHigh &&
      view.getUint32(at.opcode, true) === opcodes[request.opcode].number
    )
  }

  private setPair(offset: number, low: number, high: number): void {
    this.block.view.setUint32(offset, low, true)
    this.block.view.setUint32(offset + 4, high, true)
  }
}
