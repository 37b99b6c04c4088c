// The way back: takes an answer of the daemon's, puts the kernel's ids where the daemon's stand, and hands it on. What the
// kernel does not take, because nobody waits for it any more, is given back to the daemon.
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE, replyHeader } from '../../fuse/message.js'
import type { DaemonId } from '../ids/known-names.js'
import { answerToInterrupt } from './interrupts.js'
import { plusNodes, translateDirents, translatePlus } from './listings.js'
import { settleTaken, type Taken } from './names.js'
import { translateNotification } from './notifications.js'
import { shapeOf } from './shapes.js'
import type { Translator } from './translator.js'

const outHeader = layout('fuse_out_header')
const EIO = 5
const MAX_ERRNO = 4095

export class Answers {
  /** True once attr.ino was seen to be the nodeid: then the kernel is shown its own. */
  inoIsNode = false
  /** What the answer under way has given to the kernel. */
  private readonly answered = { given: -1, opened: -1, plainHandle: 0, listed: 0, node: 0, isDirectory: false }
  /** What was looked up for the sake of a request, by its slot. */
  readonly taken = new Map<number, Taken>()
  private readonly late: { low: number; high: number; count: number }[] = []

  constructor(private readonly translator: Translator) {}

  /**
   * Takes up the daemon's message of `length` bytes in `wire.reply`. Never asks the daemon anything.
   * @param waitedFor what it has been kept for: by other-names.ts, or by plain-ids.ts as well
   * @throws Ended
   */
  take(length: number, waitedFor: 'nothing' | 'names' | 'all' = 'nothing'): void {
    const { wire, pending, nodes, tally, pieces, stale } = this.translator
    const { view } = wire.reply
    const [low, high] = [outHeader.unique.low(view, 0), outHeader.unique.high(view, 0)]
    const said = outHeader.len.get(view, 0)
    if (length < OUT_HEADER_SIZE || said !== length) {
      if (length < OUT_HEADER_SIZE || said < length || !pieces.isBeginning(low, high)) tally.dropped++
      return
    }
    if (low === 0 && high === 0) {
      const message = translateNotification(nodes, view, length)
      for (const each of message) this.translator.surroundings.notify(each)
      return
    }
    if (low & 1) return answerToInterrupt(this.translator, low, high, length)
    if (waitedFor !== 'all' && this.isKept(low, high, length, waitedFor)) return
    const slot = pending.take(low, high)
    const error = outHeader.error.get(view, 0)
    if (slot < 0) {
      tally.dropped++
      return
    }
    pieces.answered(slot)
    const taken = this.taken.get(slot)
    if (taken) {
      this.taken.delete(slot)
      settleTaken(this.translator, taken, error === 0)
    }
    const shape = shapeOf(pending.opcode[slot] ?? 0)
    const node = pending.node[slot] ?? 0
    outHeader.unique.setHalves(view, 0, low, pending.kernelHigh(slot, high))
    const isSensible = error === 0 ? length >= shape.outLeast && length <= shape.outMost : -error <= MAX_ERRNO
    if (error > 0 || !isSensible) {
      tally.dropped++
      const size = replyHeader(view, low, outHeader.unique.high(view, 0), EIO, 0)
      wire.answer(wire.reply.address, size)
      return
    }
    let given = -1
    let opened = -1
    let plainHandle = 0
    if (error === 0) {
      if (shape.outIno !== 0 && shape.outNode === 0) this.showIno(shape.outIno, node)
      const name = pending.name[slot] ?? 0
      if (name !== 0) this.learn(name, shape.outNode)
      if (shape.outNode !== 0) given = this.giveNode(shape.outNode, shape.outIno)
      // On a plain node all handles are this life's, and are the daemon's own as well.
      if (shape.outHandle !== 0 && nodes.plain[given >= 0 ? given : node] === 1) plainHandle = shape.outHandle
      else if (shape.outHandle !== 0) opened = this.giveHandle(shape.outHandle, pending.flags[slot] ?? 0)
      if (shape.dirents === 'fuse_direntplus') translatePlus(this.translator, length)
      else if (shape.dirents !== null && this.inoIsNode) translateDirents(this.translator, length)
    }
    this.answered.given = given
    this.answered.opened = opened
    this.answered.plainHandle = plainHandle
    this.answered.listed = error === 0 && shape.dirents === 'fuse_direntplus' ? length : 0
    this.answered.node = node
    this.answered.isDirectory = shape.isDirectory
    const [uniqueLow, uniqueHigh] = [outHeader.unique.low(view, 0), outHeader.unique.high(view, 0)]
    if (pending.resent[slot] && stale.moves.keepBack(wire.reply.bytes.subarray(0, length), uniqueLow, uniqueHigh))
      return
    wire.later('channel', length)
  }

  /** The daemon has said what a name is, in the reply at `offset`. */
  private learn(name: number, offset: number): void {
    const { wire, known } = this.translator
    const [low, high] = [wire.reply.view.getUint32(offset, true), wire.reply.view.getUint32(offset + 4, true)]
    if (low !== 0 || high !== 0) known.learn(name, low, high)
  }

  private isKept(low: number, high: number, length: number, waitedFor: 'nothing' | 'names'): boolean {
    const { pending, wire, plainIds, otherNames } = this.translator
    const slot = pending.find(low, high)
    if (slot < 0) return false
    const shape = shapeOf(pending.opcode[slot] ?? 0)
    if (shape.outNode === 0 && shape.dirents !== 'fuse_direntplus') return false
    if (outHeader.error.get(wire.reply.view, 0) !== 0 || length < shape.outLeast) return false
    return (waitedFor === 'nothing' && otherNames.keep(shape, length)) || plainIds.keep(shape, length)
  }

  /** A node that the daemon gave out, in the reply at `offset`: puts in the kernel's. Returns its slot, -1 for none. */
  giveNode(offset: number, inoOffset: number): number {
    const { wire, nodes, stale } = this.translator
    const { view } = wire.reply
    const [low, high] = [view.getUint32(offset, true), view.getUint32(offset + 4, true)]
    if (low === 0 && high === 0) return -1
    const slot = nodes.give(low, high)
    if (inoOffset !== 0) {
      const isNode = view.getUint32(inoOffset, true) === low && view.getUint32(inoOffset + 4, true) === high
      if (isNode) this.showIno(inoOffset, slot)
    }
    view.setUint32(offset, nodes.kernelLow[slot] ?? 0, true)
    view.setUint32(offset + 4, nodes.kernelHigh[slot] ?? 0, true)
    if (!nodes.stale[slot]) stale.saw(view.getUint32(offset + 8, true))
    // What the daemon itself will say of it one day, the kernel must have been told from the beginning: else it takes it for
    // another. Source: fs/fuse/inode.c, fuse_stale_inode.
    if (nodes.plain[slot] === 1) return slot
    // An id of this life is no other's, and is found again without knowing a generation; bazil's differ from id to id.
    view.setUint32(offset + 8, nodes.generation[slot] ?? 0, true)
    view.setUint32(offset + 12, 0, true)
    return slot
  }

  /** A handle that the daemon gave out, in the reply at `offset`: puts in the kernel's. Returns its slot. */
  private giveHandle(offset: number, flags: number): number {
    const { wire, handles } = this.translator
    const { view } = wire.reply
    const slot = handles.give(view.getUint32(offset, true), view.getUint32(offset + 4, true), flags)
    handles.primed[slot] = 1
    view.setUint32(offset, handles.kernelLow[slot] ?? 0, true)
    view.setUint32(offset + 4, handles.kernelHigh[slot] ?? 0, true)
    return slot
  }

  /** Where the inode number is the daemon's nodeid, the kernel is shown its own. */
  private showIno(offset: number, slot: number): void {
    const { wire, nodes } = this.translator
    const { view } = wire.reply
    const [low, high] = [nodes.daemonLow[slot] ?? 0, nodes.daemonHigh[slot] ?? 0]
    if (view.getUint32(offset, true) !== low || view.getUint32(offset + 4, true) !== high) return
    if (slot !== 0) this.inoIsNode = true
    view.setUint32(offset, nodes.kernelLow[slot] ?? 0, true)
    view.setUint32(offset + 4, nodes.kernelHigh[slot] ?? 0, true)
  }

  /** Gives up one lookup of each, when the daemon may be told. */
  forgetLater(found: readonly DaemonId[]): void {
    for (const { low, high } of found) this.late.push({ low, high, count: 1 })
  }

  /** What was put off because it could not be done within an answer. */
  doLate(): void {
    for (let next = this.late.pop(); next; next = this.late.pop())
      this.translator.daemon.forget(next.low, next.high, next.count)
  }

  /** The kernel does not wait for this answer any more: what it would have held is given back to the daemon. */
  unwanted(): void {
    const { nodes, handles, reopening, wire } = this.translator
    const { given, opened, plainHandle, listed, node, isDirectory } = this.answered
    const { view } = wire.reply
    const on = given >= 0 ? given : node
    const [low, high] = [nodes.daemonLow[on] ?? 0, nodes.daemonHigh[on] ?? 0]
    if (opened >= 0) {
      reopening.releaseLater(handles.daemonLow[opened] ?? 0, handles.daemonHigh[opened] ?? 0, low, high, isDirectory)
      handles.release(opened)
    } else if (plainHandle !== 0) {
      const [fhLow, fhHigh] = [view.getUint32(plainHandle, true), view.getUint32(plainHandle + 4, true)]
      reopening.releaseLater(fhLow, fhHigh, low, high, isDirectory)
    }
    if (given >= 0) this.takeBack(given)
    if (listed === 0) return
    for (const at of plusNodes(wire.reply, listed)) {
      const slot = nodes.ofKernel(view.getUint32(at, true), view.getUint32(at + 4, true))
      if (slot >= 0) this.takeBack(slot)
    }
  }

  private takeBack(slot: number): void {
    const { nodes } = this.translator
    const [low, high] = [nodes.daemonLow[slot] ?? 0, nodes.daemonHigh[slot] ?? 0]
    this.late.push({ low, high, count: nodes.takeBack(slot) })
  }
}
