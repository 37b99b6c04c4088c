// The relay's heart: takes a request of the kernel's, puts the daemon's ids where its own stand, and sends it on; and the
// other way round with what the daemon answers. It walks the opcode table. What cannot be done in passing (a nodeid or a
// handle of an earlier life, a request that may have been done before) it hands to the parts beside it.
import { FUSE_IOCTL, FUSE_UNIQUE_RESEND_HIGH } from '../../fuse/flags.js'
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE, replyHeader } from '../../fuse/message.js'
import { opcodes } from '../../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { allocate } from '../../native/memory.js'
import { openFlags } from '../../native/open-flags.js'
import { isMaking } from '../calls/making-calls.js'
import { SpanningCalls } from '../calls/spanning-calls.js'
import { Ahead } from '../find/ahead.js'
import { KeptOpen } from '../find/kept-open.js'
import { Reopening } from '../find/reopening.js'
import type { Stale } from '../find/stale.js'
import { forget, forgetMany } from '../ids/forgetting.js'
import { Gone } from '../ids/gone.js'
import { Handles } from '../ids/handles.js'
import { KnownNames } from '../ids/known-names.js'
import { Nodes } from '../ids/nodes.js'
import { OtherNames } from '../ids/other-names.js'
import { PlainIds } from '../ids/plain-ids.js'
import { Exchanges } from '../resent/exchanges.js'
import { settleResent } from '../resent/resent.js'
import { Daemon } from '../wire/daemon.js'
import { isDots } from '../wire/directory.js'
import { type Late, MOST_DATA, type Wire } from '../wire/wire.js'
import { Answers } from './answers.js'
import { interrupt } from './interrupts.js'
import { isOntoItself, lookUpTaken, settleTaken, type Taken } from './names.js'
import { Pending } from './pending.js'
import { Pieces } from './pieces.js'
import { type HandlePlace, type Shape, shapeOf } from './shapes.js'

const inHeader = layout('fuse_in_header')
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
const FLUSH = opcodes.FLUSH.number
const RELEASEDIR = opcodes.RELEASEDIR.number
const READDIR = opcodes.READDIR.number
const READDIRPLUS = opcodes.READDIRPLUS.number
const READ = opcodes.READ.number
const WRITE = opcodes.WRITE.number
const IOCTL = opcodes.IOCTL.number
const GETATTR = opcodes.GETATTR.number
const ioctlIn = layout('fuse_ioctl_in')
const attrOut = layout('fuse_attr_out')
const readIn = layout('fuse_read_in')
const { FUSE_IOCTL_DIR } = FUSE_IOCTL
const { O_ACCMODE, O_DIRECT, O_RDWR } = openFlags

const ENOENT = 2
const EIO = 5
const ENOSYS = 38
const ESTALE = 116

const NO_HANDLE = -1
/** And below: the request is answered with an error, by so much below. */
const REFUSED = -2

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
  /** Asks for the processes that help; they are told of when they are there. */
  readonly callHelpers: () => void
}

export class Translator implements Late {
  readonly nodes: Nodes
  readonly handles: Handles
  readonly pending = new Pending()
  readonly daemon: Daemon
  readonly ahead: Ahead
  readonly reopening: Reopening
  readonly tally: Tally = { translated: 0, dropped: 0 }
  /** The process whose requests are served while all others are parked. */
  resolverPid = 0
  /** True while only the resolver is served. */
  isReserved = false
  /** The length of a request in `wire.request` for which the daemon's queue had no room; 0 if there is none. */
  unsent = 0
  private readonly short = allocate(OUT_HEADER_SIZE + Math.max(layout('fuse_open_out').$size, attrOut.$size))
  readonly answers = new Answers(this)
  readonly spanning = new SpanningCalls(this)
  readonly exchanges = new Exchanges(this)
  readonly pieces = new Pieces(this)
  readonly known = new KnownNames()
  readonly keptOpen: KeptOpen
  readonly plainIds = new PlainIds(this)
  readonly otherNames = new OtherNames(this)
  readonly gone = new Gone(this)

  constructor(
    readonly wire: Wire,
    readonly stale: Stale,
    readonly life: number,
    readonly surroundings: Surroundings,
  ) {
    this.nodes = new Nodes(life)
    this.keptOpen = new KeptOpen(stale.memory.leavings)
    this.handles = new Handles(life)
    this.daemon = new Daemon(wire, (length) => this.fromDaemon(length), surroundings.isStopped)
    this.ahead = new Ahead(this.daemon)
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
    const shape = shapeOf(opcode)
    if (shape.name === 'unknown') this.surroundings.report('unknown opcode', { opcode })
    if (length > shape.most) return this.refuse(low, high, ENOSYS)
    if (length < shape.least) return this.refuse(low, high, EIO)
    if (opcode === FORGET) return forget(this, length)
    if (opcode === BATCH_FORGET) return forgetMany(this, length)
    if (opcode === INTERRUPT) return interrupt(this, length)
    if (opcode === INIT) return this.refuse(low, high, EIO)
    if (this.stale.isGathering && !resent) this.stale.gathered()
    const tid = inHeader.pid.get(view, 0)
    const isResolver = this.resolverPid !== 0 && tid === this.resolverPid
    if (isResolver && opcode === OPENDIR) return this.openForResolver(low, high)
    if (isResolver && opcode === LOOKUP) return this.answerSearch(low, high, length)
    if (!isResolver && this.mustWait(shape, opcode, length, tid, resent)) return

    // First all ids are looked for, and only then the request is changed: a parked one has to stay as it was.
    let node = 0
    if (shape.node) {
      node = this.nodes.ofKernel(inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0))
      if (node < 0) {
        if (this.isSearch(opcode, length)) return this.refuse(low, high, ESTALE)
        if (isResolver) return this.answerResolver(opcode, low, high)
        if (opcode === NOTIFY_REPLY) return
        // This life has not opened anything of a file that it does not know.
        if (shape.rule.unopened && !this.parkClose(opcode, length)) return this.refuse(low, high, 0)
        if (shape.rule.unopened) return
        return this.parkFor(inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0), length)
      }
      if (this.nodes.doubtful[node] && !isResolver && this.parkDoubtful(node, length)) return
    }
    for (const offset of shape.nodes) {
      const [nodeLow, nodeHigh] = [view.getUint32(offset, true), view.getUint32(offset + 4, true)]
      if (this.nodes.ofKernel(nodeLow, nodeHigh) < 0) return this.parkFor(nodeLow, nodeHigh, length)
    }
    this.daemon.caller = tid
    this.pass(shape, opcode, length, node, low, resent ? high - FUSE_UNIQUE_RESEND_HIGH : high, resent)
    this.daemon.caller = 0
  }

  /** Takes up the daemon's message of `length` bytes in `wire.reply`. Never asks the daemon anything. @throws Ended */
  fromDaemon(length: number): void {
    this.answers.take(length)
  }

  /** The kernel does not wait for the answer any more. */
  unwanted(): void {
    this.answers.unwanted()
  }

  /** What was put off because it could not be done within an answer. @throws Ended */
  doLate(): void {
    this.answers.doLate()
    this.pieces.doLate()
  }

  /** The kernel's reply to `low`, `high` with an error, or an empty success. */
  refuse(low: number, high: number, errno: number): void {
    const size = replyHeader(this.short.view, low, high, errno, 0)
    if (!this.stale.moves.keepBack(this.short.bytes.subarray(0, size), low, high))
      this.wire.answer(this.short.address, size)
  }

  /** The daemon's queue has no room for the request. */
  unsentNow(length: number): void {
    this.unsent = length
  }

  /** Tries again to send what the daemon's queue had no room for. */
  sendUnsent(): void {
    if (this.unsent > 0 && this.wire.send(this.wire.request.address, this.unsent)) this.unsent = 0
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

  /** True if it is not its turn yet: somebody else has the request now, and hands it to us again when it is. */
  private mustWait(shape: Shape, opcode: number, length: number, tid: number, resent: boolean): boolean {
    this.spanning.meet(tid, resent)
    const isEarly = shape.rule.early === true && this.isReserved && this.stale.letsEarly
    if (this.isReserved && !isEarly && !this.stale.moves.isServing && !this.isSearch(opcode, length)) {
      this.stale.park(this.wire.request.bytes, length)
      return true
    }
    if (this.spanning.takeAside(shape, tid, resent, length)) return true
    return resent && this.exchanges.takeAside(shape, length)
  }

  private parkDoubtful(node: number, length: number): boolean {
    const { kernelLow, kernelHigh } = this.nodes
    return this.stale.parkFor(kernelLow[node] ?? 0, kernelHigh[node] ?? 0, this.wire.request.bytes, length)
  }

  /** A file is closed that an earlier life may have hidden. With its last handle the kernel forgets where it was. */
  private parkClose(opcode: number, length: number): boolean {
    const { view, bytes } = this.wire.request
    const { nodeid } = inHeader
    if (opcode !== RELEASE && opcode !== FLUSH) return false
    return this.stale.parkClose(nodeid.low(view, 0), nodeid.high(view, 0), bytes, length)
  }

  private parkFor(low: number, high: number, length: number): void {
    if (this.stale.parkFor(low, high, this.wire.request.bytes, length)) return
    const { view } = this.wire.request
    const isMade =
      inHeader.opcode.get(view, 0) === LOOKUP &&
      isMaking(inHeader.pid.get(view, 0), this.nameAt(IN_HEADER_SIZE, length))
    this.refuse(inHeader.unique.low(view, 0), inHeader.unique.high(view, 0), isMade ? ENOENT : ESTALE)
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
    const { view } = this.wire.request
    const originalHigh = resent ? high + FUSE_UNIQUE_RESEND_HIGH : high
    let handle = NO_HANDLE
    for (const place of shape.handles) {
      const put = this.putHandle(shape, place, opcode, length, node)
      if (put <= REFUSED) return this.refuse(low, originalHigh, REFUSED - put)
      if (put !== NO_HANDLE) handle = put
    }
    for (const offset of shape.nodes) {
      const other = this.otherNode(offset)
      view.setUint32(offset, this.nodes.daemonLow[other] ?? 0, true)
      view.setUint32(offset + 4, this.nodes.daemonHigh[other] ?? 0, true)
    }
    if (shape.node)
      inHeader.nodeid.setHalves(view, 0, this.nodes.daemonLow[node] ?? 0, this.nodes.daemonHigh[node] ?? 0)
    if (resent) inHeader.unique.setHalves(view, 0, low, high)
    if (opcode === READDIR || opcode === READDIRPLUS) {
      // A listing may end anywhere, and goes on with the next request.
      if (readIn.size.get(view, IN_HEADER_SIZE) > MOST_DATA) readIn.size.set(view, IN_HEADER_SIZE, MOST_DATA)
      if (handle >= 0 && this.handles.primed[handle] === 0) this.reopening.prime(node, handle, view)
    }
    if ((opcode === RELEASE || opcode === RELEASEDIR) && handle >= 0) this.release(shape, handle, node)
    const { retries } = this.stale.memory
    if (isOntoItself(this, shape, length, node))
      return this.refuse(low, originalHigh, retries.mayTell([this.wire.request.bytes]) ? ESTALE : 0)
    const taken = lookUpTaken(this, shape, length, node)
    const refused = taken && this.refusalOf(taken, low)
    if (refused) {
      settleTaken(this, taken, false)
      return this.refuse(low, originalHigh, refused)
    }
    retries.passed(inHeader.pid.get(view, 0), opcode)
    if (resent && settleResent(this, shape, length, node, handle)) {
      if (taken) settleTaken(this, taken, false)
      return
    }
    if (shape.replies) {
      const slot = this.pending.add(low, high, opcode, resent, node, this.flagsOf(opcode, view))
      if (taken) this.answers.taken.set(slot, taken)
      this.pending.name[slot] = shape.givesName ? this.keyOf(shape, length, node) : 0
      if (opcode === READ && this.pieces.takeRead(low, high, slot)) return
      if (opcode === WRITE && this.pieces.takeWrite(low, high, length)) return
    }
    this.wire.later('daemon', length)
  }

  /**
   * Puts the daemon's handle in its place in the request, opened again if it is one of an earlier life.
   * @returns its slot in `handles`; NO_HANDLE if there is none to be put; REFUSED - errno if the request can't go on
   */
  private putHandle(shape: Shape, place: HandlePlace, opcode: number, length: number, node: number): number {
    const { view } = this.wire.request
    if (place.flag !== 0 && (view.getUint32(place.flagsOffset, true) & place.flag) === 0) return NO_HANDLE
    const on = place.node < 0 ? node : this.otherNode(shape.nodes[place.node] ?? 0)
    // What is open on a plain node is the daemon's own.
    if (this.nodes.plain[on] === 1) return NO_HANDLE
    const at = place.offset
    const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    let handle = this.handles.ofLife(low, high)
    if (handle < 0) handle = this.earlierHandle(shape, place, opcode, length, on)
    if (handle < 0) return handle
    view.setUint32(at, this.handles.daemonLow[handle] ?? 0, true)
    view.setUint32(at + 4, this.handles.daemonHigh[handle] ?? 0, true)
    return handle
  }

  /** The handle of an earlier life, as `putHandle` has it. @param on the node that it is open on */
  private earlierHandle(shape: Shape, place: HandlePlace, opcode: number, length: number, on: number): number {
    const { view } = this.wire.request
    const at = place.offset
    const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    if (opcode === RELEASE) this.keptOpen.closed(this.nodes.kernelLow[on] ?? 0, this.nodes.kernelHigh[on] ?? 0)
    const carries = shape.openFlags !== 0 && length >= shape.openFlags + 4
    const carried = carries ? view.getUint32(shape.openFlags, true) : -1
    // What the kernel writes from its cache carries no flags.
    const flags = opcode === WRITE && (carried & O_ACCMODE) === 0 ? O_RDWR : carried
    const handle = this.handles.ofEarlier(low, high, on, flags)
    if (handle >= 0) return handle
    if (shape.rule.handleOptional) {
      view.setUint32(place.flagsOffset, view.getUint32(place.flagsOffset, true) & ~place.flag, true)
      // As the kernel has it where there is no handle: go-fuse looks it up without a look at the flag, and dies of ours.
      view.setUint32(at, 0, true)
      view.setUint32(at + 4, 0, true)
      return NO_HANDLE
    }
    if (shape.rule.unopened) return REFUSED
    const opensFolder = opcode === IOCTL && ioctlIn.flags.get(view, IN_HEADER_SIZE) & FUSE_IOCTL_DIR
    const opened = opensFolder ? shapeOf(READDIR) : shape
    const reopened = this.reopening.reopen(opened, on, low, high, flags, place.node >= 0)
    return reopened < 0 ? REFUSED + reopened : reopened
  }

  /**
   * What a move is told that the kernel would not ask for if it knew a file or folder by one nodeid: it holds it by the name that
   * it has found first, with the nodeid of an earlier life, and has been told another one by the name that it has found last.
   * @returns 0 if it may go on
   */
  private refusalOf({ areOne, errno }: Taken, low: number): number {
    const suspected = this.spanning.suspicionOf(low)
    if (errno !== 0) return errno
    const mayLookAgain = (areOne || suspected !== 0) && this.stale.memory.retries.mayTell([this.wire.request.bytes])
    return mayLookAgain ? ESTALE : suspected
  }

  private keyOf(shape: Shape, length: number, node: number): number {
    const { nodes, wire } = this
    return KnownNames.key(
      nodes.daemonLow[node] ?? 0,
      nodes.daemonHigh[node] ?? 0,
      wire.request.bytes,
      shape.nameAt,
      length,
    )
  }

  /** The kernel is done with a handle. One of an earlier life may have been opened again in several ways: all of them go. */
  private release(shape: Shape, handle: number, node: number): void {
    const { handles, nodes } = this
    const [low, high] = [handles.kernelLow[handle] ?? 0, handles.kernelHigh[handle] ?? 0]
    handles.release(handle)
    for (;;) {
      const other = handles.ofEarlier(low, high, node, -1)
      if (other < 0) return
      const [fhLow, fhHigh] = [handles.daemonLow[other] ?? 0, handles.daemonHigh[other] ?? 0]
      const [nodeLow, nodeHigh] = [nodes.daemonLow[node] ?? 0, nodes.daemonHigh[node] ?? 0]
      this.reopening.releaseLater(fhLow, fhHigh, nodeLow, nodeHigh, shape.isDirectory)
      handles.release(other)
    }
  }

  private otherNode(offset: number): number {
    const { view } = this.wire.request
    return this.nodes.ofKernel(view.getUint32(offset, true), view.getUint32(offset + 4, true))
  }

  /**
   * What a request opens a file with; 0 for all others. The daemon does without O_DIRECT: what comes out of a socket is not
   * aligned as what comes out of /dev/fuse, and a file beneath that is open with it would refuse to be written (EINVAL).
   */
  private flagsOf(opcode: number, view: DataView): number {
    const opens = opcode === OPEN || opcode === OPENDIR || opcode === CREATE || opcode === TMPFILE
    if (!opens) return 0
    const flags = view.getUint32(IN_HEADER_SIZE, true) & ~O_DIRECT
    view.setUint32(IN_HEADER_SIZE, flags, true)
    return flags
  }

  /**
   * What the resolver comes to ask about a file that is only being looked for must not wait for it. The kernel looks at a
   * folder's permissions when it goes up from there, and wants them to be fresh: it is told what it has.
   */
  private answerResolver(opcode: number, low: number, high: number): void {
    const { view, bytes, address } = this.short
    const { nodeid } = inHeader
    const asked = this.wire.request.view
    const attributes = this.stale.line.attributesOf(nodeid.low(asked, 0), nodeid.high(asked, 0))
    if (opcode !== GETATTR || !attributes) return this.refuse(low, high, ESTALE)
    const size = replyHeader(view, low, high, 0, attrOut.$size)
    bytes.fill(0, OUT_HEADER_SIZE, size)
    attributes.copy(bytes, OUT_HEADER_SIZE + attrOut.attr.ino.offset)
    this.wire.answer(address, size)
  }

  /**
   * The resolver has asked for what the kernel does not hold. It is only to tell what the kernel has: a folder that were taken
   * up anew, the kernel would look for in the one above it, whose lock may be another's who waits for the resolver.
   * Source: fs/fuse/inode.c, fuse_get_dentry; fs/exportfs/expfs.c, reconnect_path.
   */
  private answerSearch(low: number, high: number, length: number): void {
    const { view } = this.wire.request
    const isItself = this.nameAt(IN_HEADER_SIZE, length).length === 1
    if (isItself) this.stale.isNotHeld(inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0))
    this.refuse(low, high, ESTALE)
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
}
