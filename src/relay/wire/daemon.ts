// Requests of the relay's own to the daemon. They are waited for, and asked one at a time but for many names that are looked up
// at once; whatever else the daemon says meanwhile goes its usual way. Their ids have bit 62 set, which the kernel's counter
// never reaches.
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { type OpcodeName, opcodes } from '../../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { borrowPages, returnPages } from '../../native/pages.js'
import { Ended, ends, MESSAGE_SIZE, type Wire } from './wire.js'

const header = layout('fuse_in_header')
const outHeader = layout('fuse_out_header')
const OWN = 0x4000_0000
const ENOENT = 2
const EIO = 5
const entry = layout('fuse_entry_out')
const attrOut = layout('fuse_attr_out')
const getattrBody = Buffer.alloc(layout('fuse_getattr_in').$size)

/** More than a daemon has threads for, and far less than its socket has room for. */
const MOST_AT_ONCE = 64

/** A name in a folder of the daemon's. */
export interface Name {
  readonly low: number
  readonly high: number
  readonly name: Buffer
}

/** What the daemon said of a name; null if there is none such, a negative errno for any other error. */
export type Looked = Found | null | number

/** The numbers are as the daemon has them. */
export interface Found {
  readonly low: number
  readonly high: number
  readonly generation: number
  readonly ino: bigint
  readonly mode: number
  readonly size: bigint
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint
  readonly rdev: number
}

export class Daemon {
  /** The thread for whose sake it is asked, as there are daemons that answer by who asks (lxcfs); 0 for nobody's. */
  caller = 0
  private readonly own = borrowPages(MESSAGE_SIZE)
  private counter = 0
  /** What to do with the answers to names that are looked up at once, by the lower half of their unique. */
  private readonly awaited = new Map<number, (size: number) => void>()

  /**
   * @param onMessage takes up a message in `wire.reply` that is not the awaited one
   * @param isStopped looked at while waiting
   */
  constructor(
    private readonly wire: Wire,
    private readonly onMessage: (length: number) => void,
    private readonly isStopped: () => boolean,
  ) {}

  /** The view on the last answer, a whole message; valid until the next is asked. */
  get answer(): DataView {
    return this.wire.reply.view
  }

  /** Ends its use: gives its memory back. */
  free(): void {
    returnPages(this.own)
  }

  /**
   * Asks, and waits for the answer. `body` follows the header.
   * @returns the length of the answer, or a negative errno. @throws Ended
   */
  ask(opcode: OpcodeName, nodeLow: number, nodeHigh: number, ...body: Uint8Array[]): number {
    const { low, length } = this.write(opcode, nodeLow, nodeHigh, body)
    return this.transact(this.own.address, length, low, OWN)
  }

  /** Sends a request that has no answer. */
  tell(opcode: OpcodeName, nodeLow: number, nodeHigh: number, ...body: Uint8Array[]): void {
    this.sendAll(this.own.address, this.write(opcode, nodeLow, nodeHigh, body).length)
  }

  /** Sends a message that lies anywhere, and waits for the answer with this unique. Result as `ask`. */
  transact(address: number, length: number, uniqueLow: number, uniqueHigh: number): number {
    this.sendAll(address, length)
    for (;;) {
      const size = this.nextReply()
      if (size === 0) continue
      if (size >= OUT_HEADER_SIZE && this.isAnswer(uniqueLow, uniqueHigh)) return this.result(size)
      this.hear(size)
    }
  }

  /** GETATTR's inode number; null if there is none. */
  inodeOf(low: number, high: number): bigint | null {
    const size = this.ask('GETATTR', low, high, getattrBody)
    return size < OUT_HEADER_SIZE + attrOut.$size ? null : attrOut.attr.ino.get(this.answer, OUT_HEADER_SIZE)
  }

  /** Forgets `count` lookups. */
  forget(low: number, high: number, count: number): void {
    if (count <= 0 || (low === 1 && high === 0)) return
    forgetBody.writeBigUInt64LE(BigInt(count))
    this.tell('FORGET', low, high, forgetBody)
  }

  /** LOOKUP. It counts as one lookup. @throws Ended */
  lookup(parentLow: number, parentHigh: number, name: Buffer): Looked {
    return this.looked(this.ask('LOOKUP', parentLow, parentHigh, name, NUL))
  }

  /** The same for many, under way at once. @throws Ended */
  lookupAll(names: readonly Name[]): Looked[] {
    const all: Looked[] = []
    for (let next = 0; next < names.length || this.awaited.size > 0; ) {
      const wanted = names[next]
      if (wanted !== undefined && this.awaited.size < MOST_AT_ONCE) {
        const index = next++
        const { low, length } = this.write('LOOKUP', wanted.low, wanted.high, [wanted.name, NUL])
        this.awaited.set(low, (size) => {
          all[index] = this.looked(this.result(size))
        })
        this.sendAll(this.own.address, length)
        continue
      }
      const size = this.nextReply()
      if (size > 0) this.hear(size)
    }
    return all
  }

  /** Takes up a message that is not what is waited for at this place. */
  private hear(size: number): void {
    const low = outHeader.unique.low(this.answer, 0)
    const take = size >= OUT_HEADER_SIZE && this.isAnswer(low, OWN) ? this.awaited.get(low) : undefined
    if (take === undefined) return this.onMessage(size)
    this.awaited.delete(low)
    take(size)
  }

  /** Of an answer of `size` bytes: that, or the negative errno that it tells. */
  private result(size: number): number {
    const error = outHeader.error.get(this.answer, 0)
    if (error < 0) return error
    return outHeader.len.get(this.answer, 0) === size ? size : -EIO
  }

  private looked(size: number): Looked {
    if (size === -ENOENT) return null
    if (size < 0) return size
    return size < OUT_HEADER_SIZE + entry.$size ? -EIO : this.entryAt(OUT_HEADER_SIZE)
  }

  /** The struct fuse_entry_out of the last answer; null if it says that there is none. */
  entryAt(at: number): Found | null {
    const view = this.answer
    const [low, high] = [entry.nodeid.low(view, at), entry.nodeid.high(view, at)]
    if (low === 0 && high === 0) return null
    return {
      low,
      high,
      generation: entry.generation.low(view, at),
      ino: entry.attr.ino.get(view, at),
      mode: entry.attr.mode.get(view, at),
      size: entry.attr.size.get(view, at),
      mtime: entry.attr.mtime.get(view, at) * 1_000_000_000n + BigInt(entry.attr.mtimensec.get(view, at)),
      rdev: entry.attr.rdev.get(view, at),
    }
  }

  private isAnswer(low: number, high: number): boolean {
    return outHeader.unique.low(this.answer, 0) === low && outHeader.unique.high(this.answer, 0) === high
  }

  private sendAll(address: number, length: number): void {
    while (!this.wire.send(address, length)) {
      this.pause(ends.daemon | ends.writable)
      // Its queue is full: it may wait for us to read its answers.
      const size = this.wire.readReply()
      if (size > 0) this.hear(size)
    }
  }

  /** Waits for a message of the daemon's; 0 if something else has come. */
  private nextReply(): number {
    const ready = this.wire.next(true, true)
    if (this.isStopped()) throw new Ended('stopped')
    return ready & ends.daemon ? this.wire.length : 0
  }

  private pause(wanted: number): void {
    this.wire.wait(wanted, -1)
    if (this.isStopped()) throw new Ended('stopped')
  }

  private write(
    opcode: OpcodeName,
    nodeLow: number,
    nodeHigh: number,
    body: readonly Uint8Array[],
  ): { low: number; length: number } {
    const { view, bytes } = this.own
    let length = IN_HEADER_SIZE
    for (const part of body) {
      bytes.set(part, length)
      length += part.length
    }
    this.counter = (this.counter + 2) >>> 0
    const low = this.counter
    header.len.set(view, 0, length)
    header.opcode.set(view, 0, opcodes[opcode].number)
    header.unique.setHalves(view, 0, low, OWN)
    header.nodeid.setHalves(view, 0, nodeLow, nodeHigh)
    bytes.fill(0, header.uid.offset, IN_HEADER_SIZE)
    header.pid.set(view, 0, this.caller)
    return { low, length }
  }
}

const NUL = Buffer.alloc(1)
const forgetBody = Buffer.alloc(8)
