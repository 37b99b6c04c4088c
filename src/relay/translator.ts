// The relay's heart: takes a request of the kernel's, puts the daemon's ids where its own stand, and sends it on; and the
// other way round with what the daemon answers. It walks the opcode table. What cannot be done in passing (a nodeid or a
// handle of an earlier life, a request that may have been done before) it hands to the parts beside it.
import { FUSE_IOCTL, FUSE_UNIQUE_RESEND_HIGH } from '../fuse/flags.js'
import { layout } from '../fuse/layout.js'
import { OUT_HEADER_SIZE, replyHeader } from '../fuse/message.js'
import { opcodes } from '../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../fuse/request.js'
import { allocate } from '../native/memory.js'
import { openFlags } from '../native/open-flags.js'
import { Daemon } from './daemon.js'
import { isDots } from './directory.js'
import { Handles } from './handles.js'
import { Nodes } from './nodes.js'
import { translateNotification } from './notifications.js'
import { Pending } from './pending.js'
import { Reopening } from './reopening.js'
import { settleResent } from './resent.js'
import { type Shape, shapes } from './shapes.js'
import { SpanningCalls } from './spanning-calls.js'
import type { Stale } from './stale.js'
import type { Late, Wire } from './wire.js'

const inHeader = layout('fuse_in_header')
const outHeader = layout('fuse_out_header')
const dirent = layout('fuse_dirent')
const direntplus = layout('fuse_direntplus')
const forgetOne = layout('fuse_forget_one')
const FORGET = opcodes.FORGET.number
const BATCH_FORGET = opcodes.BATCH_FORGET.number
const INTERRUPT = opcodes.INTERRUPT.number
const NOTIFY_REPLY = opcodes.NOTIFY_REPLY.number
const LOOKUP = opcodes.LOOKUP.number
const INIT = opcodes.INIT.number
const OPEN = opcodes.OPEN.number
const OPENDIR = opcodes.OPENDIR.number
const CREATE = opcodes.CREATE.number
const TMPFILE = opcodes.TMPFILE.number
const RELEASE = opcodes.RELEASE.number
const RELEASEDIR = opcodes.RELEASEDIR.number
const READDIR = opcodes.READDIR.number
const READDIRPLUS = opcodes.READDIRPLUS.number
const WRITE = opcodes.WRITE.number
const IOCTL = opcodes.IOCTL.number
const ioctlIn = layout('fuse_ioctl_in')
const { FUSE_IOCTL_DIR } = FUSE_IOCTL
const { O_ACCMODE, O_RDWR } = openFlags

const ENOENT = 2
const EINTR = 4
const EIO = 5
const ENOSYS = 38
const ESTALE = 116
const MAX_ERRNO = 4095

/** What the relay has counted since it began. */
export interface Tally {
  translated: number
  /** Messages of the daemon that made no sense. */
  dropped: number
}

/** What the translator needs from outside. */
export interface Surroundings {
  /** Something worth telling the user, once each. */
  readonly report: (what: string, facts?: Record<string, unknown>) => void
  /** A notification of the daemon's, translated: writing it may wait, so another process does. */
  readonly notify: (message: Buffer) => void
  readonly isStopped: () => boolean
}

export class Translator implements Late {
  readonly nodes: Nodes
  readonly handles: Handles
  readonly pending = new Pending()
  readonly daemon: Daemon
  readonly reopening: Reopening
  readonly tally: Tally = { translated: 0, dropped: 0 }
  /** True once attr.ino was seen to be the nodeid: then the kernel is shown its own. */
  inoIsNode = false
  /** The process whose requests are served while all others are parked. */
  resolverPid = 0
  /** True while only the resolver is served. */
  isReserved = false
  /** The length of a request in `wire.request` for which the daemon's queue had no room; 0 if there is none. */
  unsent = 0
  private readonly short = allocate(OUT_HEADER_SIZE + layout('fuse_open_out').$size)
  readonly spanning = new SpanningCalls(this)
  /** What the answer under way has given to the kernel. */
  private readonly answered = { given: -1, opened: -1, node: 0, isDirectory: false }
  private readonly late: { low: number; high: number; count: number }[] = []

  constructor(
    readonly wire: Wire,
    readonly stale: Stale,
    readonly life: number,
    readonly surroundings: Surroundings,
  ) {
    this.nodes = new Nodes(life)
    this.handles = new Handles(life)
    this.daemon = new Daemon(wire, (length) => this.fromDaemon(length), surroundings.isStopped)
    this.reopening = new Reopening(this)
    wire.late = this
  }

  /** Takes up the request of `length` bytes in `wire.request`. @throws Ended */
  fromKernel(length: number): void {
    const { view } = this.wire.request
    const opcode = inHeader.opcode.get(view, 0)
    const low = inHeader.unique.low(view, 0)
    const high = inHeader.unique.high(view, 0)
    const resent = high >= FUSE_UNIQUE_RESEND_HIGH
    this.tally.translated++
    const shape = shapes[opcode]
    if (!shape) {
      this.surroundings.report('unknown opcode', { opcode })
      return this.refuse(low, high, ENOSYS)
    }
    if (length < shape.least) return this.refuse(low, high, EIO)
    if (opcode === FORGET) return this.forget(length)
    if (opcode === BATCH_FORGET) return this.forgetMany(length)
    if (opcode === INTERRUPT) return this.interrupt(length)
    if (opcode === INIT) return this.refuse(low, high, EIO)
    if (this.stale.isGathering && !resent) this.stale.gathered()
    const tid = inHeader.pid.get(view, 0)
    if (this.resolverPid !== 0 && tid === this.resolverPid) {
      if (opcode === OPENDIR) return this.openForResolver(low, high)
    } else {
      this.spanning.meet(tid, resent)
      if (this.isReserved && !this.stale.isMoving && !this.isSearch(opcode, length))
        return this.stale.park(this.wire.request.bytes, length)
      if (this.spanning.takeAside(opcode, tid, resent, length)) return
    }

    // First all ids are looked for, and only then the request is changed: a parked one has to stay as it was.
    let node = 0
    if (shape.node) {
      node = this.nodes.ofKernel(inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0))
      if (node < 0) {
        if (this.isSearch(opcode, length)) return this.refuse(low, high, ESTALE)
        if (opcode === NOTIFY_REPLY) return
        // This life has not opened anything of a file that it does not know.
        if (shape.rule.unopened) return this.refuse(low, high, 0)
        return this.parkFor(inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0), length)
      }
    }
    for (const offset of shape.nodes) {
      const [nodeLow, nodeHigh] = [view.getUint32(offset, true), view.getUint32(offset + 4, true)]
      if (this.nodes.ofKernel(nodeLow, nodeHigh) < 0) return this.parkFor(nodeLow, nodeHigh, length)
    }
    this.pass(shape, opcode, length, node, low, resent ? high - FUSE_UNIQUE_RESEND_HIGH : high, resent)
  }

  /** Takes up the daemon's message of `length` bytes in `wire.reply`. Never asks the daemon anything. @throws Ended */
  fromDaemon(length: number): void {
    const { view } = this.wire.reply
    if (length < OUT_HEADER_SIZE || outHeader.len.get(view, 0) !== length) {
      this.tally.dropped++
      return
    }
    const [low, high] = [outHeader.unique.low(view, 0), outHeader.unique.high(view, 0)]
    if (low === 0 && high === 0) {
      const message = translateNotification(this.nodes, view, length)
      for (const each of message) this.surroundings.notify(each)
      return
    }
    if (low & 1) return this.fromInterrupt(low, high, length)
    const slot = this.pending.take(low, high)
    const error = outHeader.error.get(view, 0)
    if (slot < 0) {
      this.tally.dropped++
      return
    }
    const shape = shapes[this.pending.opcode[slot] ?? 0]
    if (!shape) return
    const node = this.pending.node[slot] ?? 0
    if (this.pending.resent[slot]) outHeader.unique.setHalves(view, 0, low, high + FUSE_UNIQUE_RESEND_HIGH)
    if (error > 0 || error < -MAX_ERRNO || (error === 0 && length < shape.outLeast)) {
      this.tally.dropped++
      const size = replyHeader(view, low, outHeader.unique.high(view, 0), EIO, 0)
      this.wire.answer(this.wire.reply.address, size)
      return
    }
    let given = -1
    let opened = -1
    if (error === 0) {
      if (shape.outIno !== 0 && shape.outNode === 0) this.showIno(shape.outIno, node)
      if (shape.outNode !== 0) given = this.giveNode(shape.outNode, shape.outIno)
      if (shape.outHandle !== 0) opened = this.giveHandle(shape.outHandle, this.pending.flags[slot] ?? 0)
      if (shape.dirents === 'fuse_direntplus') this.translatePlus(length)
      else if (shape.dirents !== null && this.inoIsNode) this.translateDirents(length)
    }
    this.answered.given = given
    this.answered.opened = opened
    this.answered.node = node
    this.answered.isDirectory = shape.isDirectory
    this.wire.later('channel', length)
  }

  /** The kernel's reply to `low`, `high` with an error, or an empty success. */
  refuse(low: number, high: number, errno: number): void {
    this.wire.answer(this.short.address, replyHeader(this.short.view, low, high, errno, 0))
  }

  /** The daemon's queue has no room for the request. */
  unsentNow(length: number): void {
    this.unsent = length
  }

  /** What was put off because it could not be done within an answer. */
  doLate(): void {
    for (let next = this.late.pop(); next; next = this.late.pop()) this.daemon.forget(next.low, next.high, next.count)
  }

  /** Tries again to send what the daemon's queue had no room for. */
  sendUnsent(): void {
    if (this.unsent > 0 && this.wire.send(this.wire.request.address, this.unsent)) this.unsent = 0
  }

  /** A node that the daemon gave out, in the reply at `offset`: puts in the kernel's. Returns its slot, -1 for none. */
  giveNode(offset: number, inoOffset: number): number {
    const { view } = this.wire.reply
    const [low, high] = [view.getUint32(offset, true), view.getUint32(offset + 4, true)]
    if (low === 0 && high === 0) return -1
    const slot = this.nodes.give(low, high)
    if (inoOffset !== 0) {
      const isNode = view.getUint32(inoOffset, true) === low && view.getUint32(inoOffset + 4, true) === high
      if (isNode) this.showIno(inoOffset, slot)
    }
    view.setUint32(offset, this.nodes.kernelLow[slot] ?? 0, true)
    view.setUint32(offset + 4, this.nodes.kernelHigh[slot] ?? 0, true)
    if (this.nodes.stale[slot]) {
      view.setUint32(offset + 8, this.nodes.generation[slot] ?? 0, true)
      view.setUint32(offset + 12, 0, true)
    }
    return slot
  }

  /** A handle that the daemon gave out, in the reply at `offset`: puts in the kernel's. Returns its slot. */
  giveHandle(offset: number, flags: number): number {
    const { view } = this.wire.reply
    const slot = this.handles.give(view.getUint32(offset, true), view.getUint32(offset + 4, true), flags)
    this.handles.primed[slot] = 1
    view.setUint32(offset, this.handles.kernelLow[slot] ?? 0, true)
    view.setUint32(offset + 4, this.handles.kernelHigh[slot] ?? 0, true)
    return slot
  }

  /** The name at `at` in the request, without its NUL. */
  nameAt(at: number, length: number): Buffer {
    const { bytes } = this.wire.request
    const nul = bytes.indexOf(0, at)
    return bytes.subarray(at, nul < 0 || nul > length ? length : nul)
  }

  /** True if the kernel looks for a nodeid that it does not hold, on behalf of who asks by file handle. */
  private isSearch(opcode: number, length: number): boolean {
    const { view } = this.wire.request
    if (opcode !== LOOKUP || !isDots(this.nameAt(IN_HEADER_SIZE, length))) return false
    return this.nodes.ofKernel(inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0)) < 0
  }

  private parkFor(low: number, high: number, length: number): void {
    if (!this.stale.parkFor(low, high, this.wire.request.bytes, length)) {
      const { view } = this.wire.request
      this.refuse(inHeader.unique.low(view, 0), inHeader.unique.high(view, 0), ESTALE)
    }
  }

  /** All nodes are known: translates the request and sends it. */
  private pass(
    shape: Shape,
    opcode: number,
    length: number,
    node: number,
    low: number,
    high: number,
    resent: boolean,
  ): void {
    const { view, address } = this.wire.request
    const originalHigh = resent ? high + FUSE_UNIQUE_RESEND_HIGH : high
    let handle = -1
    for (const place of shape.handles) {
      if (place.flag !== 0 && (view.getUint32(place.flagsOffset, true) & place.flag) === 0) continue
      const at = place.offset
      const [fhLow, fhHigh] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
      handle = this.handles.ofLife(fhLow, fhHigh)
      if (handle < 0) {
        const on = place.node < 0 ? node : this.otherNode(shape.nodes[place.node] ?? 0)
        const carries = shape.openFlags !== 0 && length >= shape.openFlags + 4
        const carried = carries ? view.getUint32(shape.openFlags, true) : -1
        // What the kernel writes from its cache carries no flags.
        const flags = opcode === WRITE && (carried & O_ACCMODE) === 0 ? O_RDWR : carried
        handle = this.handles.ofEarlier(fhLow, fhHigh, on, flags)
        if (handle < 0) {
          if (shape.rule.handleOptional) {
            view.setUint32(place.flagsOffset, view.getUint32(place.flagsOffset, true) & ~place.flag, true)
            continue
          }
          if (shape.rule.unopened) return this.refuse(low, originalHigh, 0)
          const opened =
            opcode === IOCTL && ioctlIn.flags.get(view, IN_HEADER_SIZE) & FUSE_IOCTL_DIR ? shapes[READDIR] : shape
          handle = this.reopening.reopen(opened ?? shape, on, fhLow, fhHigh, flags, place.node >= 0)
          if (handle < 0) return this.refuse(low, originalHigh, -handle)
        }
      }
      view.setUint32(at, this.handles.daemonLow[handle] ?? 0, true)
      view.setUint32(at + 4, this.handles.daemonHigh[handle] ?? 0, true)
    }
    for (const offset of shape.nodes) {
      const other = this.otherNode(offset)
      view.setUint32(offset, this.nodes.daemonLow[other] ?? 0, true)
      view.setUint32(offset + 4, this.nodes.daemonHigh[other] ?? 0, true)
    }
    if (shape.node)
      inHeader.nodeid.setHalves(view, 0, this.nodes.daemonLow[node] ?? 0, this.nodes.daemonHigh[node] ?? 0)
    if (resent) inHeader.unique.setHalves(view, 0, low, high)
    if ((opcode === READDIR || opcode === READDIRPLUS) && handle >= 0 && this.handles.primed[handle] === 0)
      this.reopening.prime(node, handle, view)
    if ((opcode === RELEASE || opcode === RELEASEDIR) && handle >= 0) this.release(shape, handle, node)
    if (resent && settleResent(this, shape, length, node, handle)) return
    if (shape.replies) this.pending.add(low, high, opcode, resent, node, this.flagsOf(opcode, view))
    this.wire.later('daemon', length)
  }

  /** The kernel is done with a handle. One of an earlier life may have been opened again in several ways: all of them go. */
  private release(shape: Shape, handle: number, node: number): void {
    const { handles, nodes } = this
    const [low, high] = [handles.kernelLow[handle] ?? 0, handles.kernelHigh[handle] ?? 0]
    handles.release(handle)
    for (;;) {
      const other = handles.ofEarlier(low, high, node, -1)
      if (other < 0) return
      this.reopening.releaseLater(other, nodes.daemonLow[node] ?? 0, nodes.daemonHigh[node] ?? 0, shape.isDirectory)
      handles.release(other)
    }
  }

  private otherNode(offset: number): number {
    const { view } = this.wire.request
    return this.nodes.ofKernel(view.getUint32(offset, true), view.getUint32(offset + 4, true))
  }

  private flagsOf(opcode: number, view: DataView): number {
    const opens = opcode === OPEN || opcode === OPENDIR || opcode === CREATE || opcode === TMPFILE
    return opens ? view.getUint32(IN_HEADER_SIZE, true) : 0
  }

  /** The resolver's own open folder: the daemon need not know of it. */
  private openForResolver(low: number, high: number): void {
    const { view, address } = this.short
    const size = replyHeader(view, low, high, 0, layout('fuse_open_out').$size)
    view.setUint32(OUT_HEADER_SIZE, 0, true)
    view.setUint32(OUT_HEADER_SIZE + 4, this.life * 0x1_0000, true)
    view.setUint32(OUT_HEADER_SIZE + 8, 0, true)
    view.setUint32(OUT_HEADER_SIZE + 12, 0, true)
    this.wire.answer(address, size)
  }

  private forget(length: number): void {
    const { view, address } = this.wire.request
    const [low, high] = [inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0)]
    const slot = this.nodes.ofKernel(low, high)
    if (slot < 0) return this.stale.forgotten(low, high)
    const [nodeLow, nodeHigh] = [this.nodes.daemonLow[slot] ?? 0, this.nodes.daemonHigh[slot] ?? 0]
    const count = this.nodes.forgetSlot(slot, wideAt(view, IN_HEADER_SIZE))
    this.stale.left(low, high)
    if (count <= 0) return
    inHeader.nodeid.setHalves(view, 0, nodeLow, nodeHigh)
    setWide(view, IN_HEADER_SIZE, count)
    this.wire.later('daemon', length)
  }

  /** Those that this life gave out stay in the message, the others are taken out of it. */
  private forgetMany(length: number): void {
    const { view, address } = this.wire.request
    const first = IN_HEADER_SIZE + layout('fuse_batch_forget_in').$size
    const count = Math.min(view.getUint32(IN_HEADER_SIZE, true), Math.floor((length - first) / forgetOne.$size))
    let to = first
    for (let i = 0, at = first; i < count; i++, at += forgetOne.$size) {
      const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
      const slot = this.nodes.ofKernel(low, high)
      if (slot < 0) {
        this.stale.forgotten(low, high)
        continue
      }
      const [nodeLow, nodeHigh] = [this.nodes.daemonLow[slot] ?? 0, this.nodes.daemonHigh[slot] ?? 0]
      const forgotten = this.nodes.forgetSlot(slot, wideAt(view, at + 8))
      this.stale.left(low, high)
      if (forgotten <= 0) continue
      forgetOne.nodeid.setHalves(view, to, nodeLow, nodeHigh)
      setWide(view, to + 8, forgotten)
      to += forgetOne.$size
    }
    if (to === first) return
    view.setUint32(IN_HEADER_SIZE, (to - first) / forgetOne.$size, true)
    inHeader.len.set(view, 0, to)
    this.wire.later('daemon', to)
  }

  /** Passed on only if the daemon has the request: one that is parked here ends here. */
  private interrupt(length: number): void {
    const { view, address } = this.wire.request
    const [low, rawHigh] = [view.getUint32(IN_HEADER_SIZE, true), view.getUint32(IN_HEADER_SIZE + 4, true)]
    const high = rawHigh >= FUSE_UNIQUE_RESEND_HIGH ? rawHigh - FUSE_UNIQUE_RESEND_HIGH : rawHigh
    if (this.stale.unpark(low, rawHigh)) return this.refuse(low, rawHigh, EINTR)
    if (this.pending.find(low, high) < 0) return
    view.setUint32(IN_HEADER_SIZE + 4, high, true)
    inHeader.unique.setHalves(view, 0, inHeader.unique.low(view, 0), high)
    const node = this.nodes.ofKernel(inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0))
    if (node >= 0) inHeader.nodeid.setHalves(view, 0, this.nodes.daemonLow[node] ?? 0, this.nodes.daemonHigh[node] ?? 0)
    this.wire.later('daemon', length)
  }

  /** A daemon says of an INTERRUPT that it does not know the request (EAGAIN) or no interrupts (ENOSYS). */
  private fromInterrupt(low: number, high: number, length: number): void {
    const slot = this.pending.find(low - 1, high)
    if (slot < 0) return
    if (this.pending.resent[slot])
      outHeader.unique.setHalves(this.wire.reply.view, 0, low, high + FUSE_UNIQUE_RESEND_HIGH)
    this.wire.answer(this.wire.reply.address, length)
  }

  /** Where the inode number is the daemon's nodeid, the kernel is shown its own. */
  private showIno(offset: number, slot: number): void {
    const { view } = this.wire.reply
    const [low, high] = [this.nodes.daemonLow[slot] ?? 0, this.nodes.daemonHigh[slot] ?? 0]
    if (view.getUint32(offset, true) !== low || view.getUint32(offset + 4, true) !== high) return
    if (slot !== 0) this.inoIsNode = true
    view.setUint32(offset, this.nodes.kernelLow[slot] ?? 0, true)
    view.setUint32(offset + 4, this.nodes.kernelHigh[slot] ?? 0, true)
  }

  private translatePlus(length: number): void {
    const { view, bytes } = this.wire.reply
    for (let at = OUT_HEADER_SIZE; at + direntplus.$size <= length; ) {
      const nameLength = direntplus.dirent.namelen.get(view, at)
      const nameAt = at + direntplus.$size
      if (nameAt + nameLength > length) return
      const node = at + direntplus.entry_out.nodeid.offset
      const ino = at + direntplus.dirent.ino.offset
      if (isDots(bytes.subarray(nameAt, nameAt + nameLength))) {
        view.setUint32(node, 0, true)
        view.setUint32(node + 4, 0, true)
      } else {
        const [low, high] = [view.getUint32(node, true), view.getUint32(node + 4, true)]
        const slot = this.giveNode(node, at + direntplus.entry_out.attr.ino.offset)
        if (slot >= 0 && view.getUint32(ino, true) === low && view.getUint32(ino + 4, true) === high) {
          view.setUint32(ino, this.nodes.kernelLow[slot] ?? 0, true)
          view.setUint32(ino + 4, this.nodes.kernelHigh[slot] ?? 0, true)
        }
      }
      at += (direntplus.$size + nameLength + 7) & ~7
    }
  }

  private translateDirents(length: number): void {
    const { view } = this.wire.reply
    for (let at = OUT_HEADER_SIZE; at + dirent.$size <= length; ) {
      const slot = this.nodes.ofDaemon(dirent.ino.low(view, at), dirent.ino.high(view, at))
      if (slot >= 0) dirent.ino.setHalves(view, at, this.nodes.kernelLow[slot] ?? 0, this.nodes.kernelHigh[slot] ?? 0)
      at += (dirent.$size + dirent.namelen.get(view, at) + 7) & ~7
    }
  }

  /** The kernel does not wait for this answer any more: what it would have held is given back to the daemon. */
  unwanted(): void {
    const { given, opened, node, isDirectory } = this.answered
    if (given >= 0) {
      const [low, high] = [this.nodes.daemonLow[given] ?? 0, this.nodes.daemonHigh[given] ?? 0]
      if (opened >= 0) this.giveBack(opened, low, high, isDirectory)
      this.late.push({ low, high, count: this.nodes.takeBack(given) })
    } else if (opened >= 0)
      this.giveBack(opened, this.nodes.daemonLow[node] ?? 0, this.nodes.daemonHigh[node] ?? 0, isDirectory)
  }

  private giveBack(handle: number, low: number, high: number, isDirectory: boolean): void {
    this.reopening.releaseLater(handle, low, high, isDirectory)
    this.handles.release(handle)
  }
}

const wideAt = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true)

function setWide(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
}
