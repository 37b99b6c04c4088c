// Reads whose answer comes in pieces. What a daemon splices into a socket is one message only up to sixteen parts of the
// pipe; the rest follows in messages without a header, and those of other threads may lie between. So nothing is put
// together of them: the daemon is asked again, for no more at a time than fits one message, and so are all later reads.
// Source: fs/splice.c, splice_to_socket
import { FUSE_UNIQUE_RESEND_HIGH } from '../fuse/flags.js'
import { layout } from '../fuse/layout.js'
import { OUT_HEADER_SIZE, replyHeader } from '../fuse/message.js'
import { opcodes } from '../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../fuse/request.js'
import { borrowPages, returnPages } from '../native/pages.js'
import type { Translator } from './translator.js'

const header = layout('fuse_in_header')
const readIn = layout('fuse_read_in')
const READ = opcodes.READ.number
/** Of sixteen parts one is the header; data that begins within a page has one more than it has pages. */
export const PIECE = 14 * 4096

export class Pieces {
  /** True once the daemon has answered in pieces. */
  private isNeeded = false
  /** Reads that may be answered so, by their slot: in the daemon's terms. */
  private readonly large = new Map<number, Buffer>()
  private readonly broken: { readonly low: number; readonly high: number }[] = []

  constructor(private readonly translator: Translator) {}

  /**
   * Takes up the READ in `wire.request`, which is pending by now, if it has to be asked for in pieces.
   * @returns false if it is to be sent as it is. @throws Ended
   */
  take(low: number, high: number, slot: number): boolean {
    const { bytes, view } = this.translator.wire.request
    if (readIn.size.get(view, IN_HEADER_SIZE) <= PIECE) return false
    const request = Buffer.from(bytes.subarray(0, IN_HEADER_SIZE + readIn.$size))
    if (this.isNeeded) this.read(low, high, request)
    else this.large.set(slot, request)
    return this.isNeeded
  }

  /** The request of this slot is answered. */
  answered(slot: number): void {
    if (this.large.size > 0) this.large.delete(slot)
  }

  /** True if the message, whose header promises more than has come, is the beginning of the answer to a large read. */
  isBeginning(low: number, high: number): boolean {
    const { pending } = this.translator
    const slot = pending.find(low, high)
    if (slot < 0 || pending.opcode[slot] !== READ || !this.large.has(slot)) return false
    this.isNeeded = true
    this.broken.push({ low, high })
    return true
  }

  /** Asks again for what came in pieces. @throws Ended */
  doLate(): void {
    for (let next = this.broken.shift(); next; next = this.broken.shift()) {
      const request = this.large.get(this.translator.pending.find(next.low, next.high))
      if (request) this.read(next.low, next.high, request)
    }
  }

  private read(low: number, high: number, request: Buffer): void {
    const { wire, pending } = this.translator
    const size = request.readUInt32LE(IN_HEADER_SIZE + readIn.size.offset)
    const block = borrowPages(OUT_HEADER_SIZE + size)
    try {
      const got = this.gather(request, size, block.bytes.subarray(OUT_HEADER_SIZE))
      const slot = pending.take(low, high)
      if (slot < 0) return
      this.answered(slot)
      const kernelHigh = pending.resent[slot] ? high + FUSE_UNIQUE_RESEND_HIGH : high
      if (got < 0) this.translator.refuse(low, kernelHigh, -got)
      else wire.answer(block.address, replyHeader(block.view, low, kernelHigh, 0, got))
    } finally {
      returnPages(block)
    }
  }

  /** Reads piece by piece up to `size` or the end of the file. Returns the count, or a negative errno. */
  private gather(request: Buffer, size: number, into: Uint8Array): number {
    const { daemon, wire } = this.translator
    const nodeLow = request.readUInt32LE(header.nodeid.offset)
    const nodeHigh = request.readUInt32LE(header.nodeid.offset + 4)
    const body = Buffer.from(request.subarray(IN_HEADER_SIZE))
    const offset = body.readBigUInt64LE(readIn.offset.offset)
    for (let got = 0; ; ) {
      const wanted = Math.min(PIECE, size - got)
      body.writeBigUInt64LE(offset + BigInt(got), readIn.offset.offset)
      body.writeUInt32LE(wanted, readIn.size.offset)
      const length = daemon.ask('READ', nodeLow, nodeHigh, body)
      if (length < 0) return length
      const count = Math.min(length - OUT_HEADER_SIZE, wanted)
      into.set(wire.reply.bytes.subarray(OUT_HEADER_SIZE, OUT_HEADER_SIZE + count), got)
      got += count
      if (count < wanted || got === size) return got
    }
  }
}
