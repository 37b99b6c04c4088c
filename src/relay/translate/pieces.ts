// Reads and writes that do not fit one message of the socket: the daemon is asked for a piece at a time.
//
// A socket wants the memory for a message in one row and has it up to some megabytes, where the kernel's own limit for a
// request can be set to 256 (fs.fuse.max_pages_limit). And what a daemon splices into a socket is one message only up to
// sixteen parts of the pipe; the rest follows in messages without a header, and those of other threads may lie between. So
// nothing is put together of them: the daemon is asked again, and by such pieces for all later reads.
// Source: net/unix/af_unix.c, unix_dgram_sendmsg; fs/splice.c, splice_to_socket
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE, replyHeader } from '../../fuse/message.js'
import { opcodes } from '../../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { allocate, type Block } from '../../native/memory.js'
import { borrowPages, returnPages } from '../../native/pages.js'
import { MOST_DATA } from '../wire/wire.js'
import type { Translator } from './translator.js'

const header = layout('fuse_in_header')
const outHeader = layout('fuse_out_header')
const readIn = layout('fuse_read_in')
const writeIn = layout('fuse_write_in')
const writeOut = layout('fuse_write_out')
const READ = opcodes.READ.number
const EIO = 5
/** Of sixteen parts one is the header; data that begins within a page has one more than it has pages. */
export const SPLICED = 14 * 4096
const WRITE_DATA = IN_HEADER_SIZE + writeIn.$size

export class Pieces {
  /** How much a read asks for at once: less once the daemon has answered in several messages. */
  private most = MOST_DATA
  /** Reads that may be answered so, by their slot: in the daemon's terms. */
  private readonly large = new Map<number, Buffer>()
  private readonly broken: { readonly low: number; readonly high: number }[] = []
  private readonly said = allocate(OUT_HEADER_SIZE + writeOut.$size)

  constructor(private readonly translator: Translator) {}

  /**
   * Takes up the READ in `wire.request`, which is pending by now, if it has to be asked for in pieces.
   * @returns false if it is to be sent as it is. @throws Ended
   */
  takeRead(low: number, high: number, slot: number): boolean {
    const { bytes, view } = this.translator.wire.request
    const size = readIn.size.get(view, IN_HEADER_SIZE)
    if (size <= SPLICED) return false
    const request = Buffer.from(bytes.subarray(0, IN_HEADER_SIZE + readIn.$size))
    const isTooLarge = size > this.most
    if (isTooLarge) this.read(low, high, request)
    else this.large.set(slot, request)
    return isTooLarge
  }

  /** The same for the WRITE of `length` bytes. @throws Ended */
  takeWrite(low: number, high: number, length: number): boolean {
    if (length <= WRITE_DATA + MOST_DATA) return false
    const written = this.write(length)
    writeOut.size.set(this.said.view, OUT_HEADER_SIZE, Math.max(0, written))
    this.answer(low, high, this.said, written < 0 ? written : writeOut.$size)
    return true
  }

  /**
   * Writes what is in `wire.request`, and nothing after a piece that was not written whole.
   * @returns how many bytes, or a negative errno if there are none. @throws Ended
   */
  private write(length: number): number {
    const { daemon, wire } = this.translator
    const { bytes } = wire.request
    const node = header.nodeid
    const [low, high] = [node.low(wire.request.view, 0), node.high(wire.request.view, 0)]
    const body = Buffer.from(bytes.subarray(IN_HEADER_SIZE, WRITE_DATA))
    const offset = body.readBigUInt64LE(writeIn.offset.offset)
    for (let done = 0; ; ) {
      const piece = bytes.subarray(WRITE_DATA + done, Math.min(WRITE_DATA + done + MOST_DATA, length))
      body.writeBigUInt64LE(offset + BigInt(done), writeIn.offset.offset)
      body.writeUInt32LE(piece.length, writeIn.size.offset)
      const size = daemon.ask('WRITE', low, high, body, piece)
      if (size < OUT_HEADER_SIZE + writeOut.$size) return done > 0 ? done : size < 0 ? size : -EIO
      const written = writeOut.size.get(daemon.answer, OUT_HEADER_SIZE)
      done += written
      if (written < piece.length || WRITE_DATA + done >= length) return done
    }
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
    this.most = SPLICED
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
    const size = request.readUInt32LE(IN_HEADER_SIZE + readIn.size.offset)
    const block = borrowPages(OUT_HEADER_SIZE + size)
    try {
      const got = this.gather(request, size, block.bytes.subarray(OUT_HEADER_SIZE))
      this.answer(low, high, block, got)
    } finally {
      returnPages(block)
    }
  }

  /** Answers what is pending. `size` is how much of the block follows the header, or a negative errno. @throws Ended */
  private answer(low: number, high: number, { view, address }: Block, size: number): void {
    const { wire, pending } = this.translator
    const slot = pending.take(low, high)
    if (slot < 0) return
    this.answered(slot)
    const kernelHigh = pending.kernelHigh(slot, high)
    if (size < 0) this.translator.refuse(low, kernelHigh, -size)
    else wire.answer(address, replyHeader(view, low, kernelHigh, 0, size))
  }

  /** Reads piece by piece up to `size` or the end of the file. Returns the count, or a negative errno. */
  private gather(request: Buffer, size: number, into: Uint8Array): number {
    const { daemon, wire } = this.translator
    const nodeLow = request.readUInt32LE(header.nodeid.offset)
    const nodeHigh = request.readUInt32LE(header.nodeid.offset + 4)
    const body = Buffer.from(request.subarray(IN_HEADER_SIZE))
    const offset = body.readBigUInt64LE(readIn.offset.offset)
    for (let got = 0; ; ) {
      const wanted = Math.min(this.most, size - got)
      body.writeBigUInt64LE(offset + BigInt(got), readIn.offset.offset)
      body.writeUInt32LE(wanted, readIn.size.offset)
      const length = daemon.ask('READ', nodeLow, nodeHigh, body)
      if (length < 0 && outHeader.error.get(daemon.answer, 0) === 0 && this.most > SPLICED) {
        this.most = SPLICED
        continue
      }
      if (length < 0) return length
      const count = Math.min(length - OUT_HEADER_SIZE, wanted)
      into.set(wire.reply.bytes.subarray(OUT_HEADER_SIZE, OUT_HEADER_SIZE + count), got)
      got += count
      if (count < wanted || got === size) return got
    }
  }
}
