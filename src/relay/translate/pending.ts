// The kernel's requests that the daemon has and has not answered: what is needed to translate the reply.
import { FUSE_UNIQUE_RESEND_HIGH } from '../../fuse/flags.js'
import { WideTable } from '../ids/wide-table.js'
import { shapeOf } from './shapes.js'

const FIRST_SIZE = 64

export class Pending {
  opcode = new Uint8Array(FIRST_SIZE)
  /** 1 if the reply has to carry the bit of a resent request. */
  resent = new Uint8Array(FIRST_SIZE)
  /** The slot of the node that the request is about. */
  node = new Int32Array(FIRST_SIZE)
  /** open(2)'s flags of what opens a file. */
  flags = new Int32Array(FIRST_SIZE)
  /** What stands for the name that it makes known; see known-names.ts. 0 for none. */
  name = new Float64Array(FIRST_SIZE)
  private readonly byUnique = new WideTable()
  private readonly free: number[] = []
  private used = 0
  /** How many of them may change what a path leads to. */
  moves = 0

  get size(): number {
    return this.byUnique.size
  }

  /** @param high without the bit of a resent request; returns its slot */
  add(low: number, high: number, opcode: number, resent: boolean, node: number, flags: number): number {
    const slot = this.free.pop() ?? this.used++
    if (slot >= this.opcode.length) this.grow()
    this.opcode[slot] = opcode
    this.resent[slot] = resent ? 1 : 0
    this.node[slot] = node
    this.flags[slot] = flags
    this.name[slot] = 0
    this.byUnique.set(low, high, slot)
    if (shapeOf(opcode).takesNames) this.moves++
    return slot
  }

  /** The slot of a request; -1 if there is none. */
  find(low: number, high: number): number {
    return this.byUnique.get(low, high)
  }

  /** The same, and it is answered now: its fields stay readable until the next is added. */
  take(low: number, high: number): number {
    const slot = this.byUnique.delete(low, high)
    if (slot < 0) return slot
    this.free.push(slot)
    if (shapeOf(this.opcode[slot] ?? 0).takesNames) this.moves--
    return slot
  }

  /** The upper half of a request's unique as the kernel has it. */
  kernelHigh(slot: number, high: number): number {
    return this.resent[slot] ? high + FUSE_UNIQUE_RESEND_HIGH : high
  }

  private grow(): void {
    const size = this.opcode.length * 2
    const [opcode, resent] = [new Uint8Array(size), new Uint8Array(size)]
    const [node, flags] = [new Int32Array(size), new Int32Array(size)]
    opcode.set(this.opcode)
    resent.set(this.resent)
    node.set(this.node)
    flags.set(this.flags)
    const name = new Float64Array(size)
    name.set(this.name)
    Object.assign(this, { opcode, resent, node, flags, name })
  }
}
