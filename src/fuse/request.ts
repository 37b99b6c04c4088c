// Reads a request where it lies. One Request object is reused for every message of a buffer: its fields are numbers and
// nothing is allocated per request.
//
//   | fuse_in_header 40 | fixed part | name NUL | name NUL | tail … | extensions |
//   0                   body                               tail     end
import { ProtocolError } from './error.js'
import { FUSE_UNIQUE_RESEND_HIGH, type InitFlag } from './flags.js'
import { layout, sizeOf } from './layout.js'
import { type OpcodeName, type OpcodeRow, opcodes } from './opcodes.js'

const header = layout('fuse_in_header')

/** Bytes of fuse_in_header: where every request's body begins. */
export const IN_HEADER_SIZE = header.$size

export class Request {
  readonly bytes: Buffer
  readonly view: DataView
  opcode: OpcodeName = 'LOOKUP'
  uniqueLow = 0
  /** Without the bit of a resent request. */
  uniqueHigh = 0
  /** True if an earlier life may have done it: bit 63 of unique. */
  resent = false
  nodeLow = 0
  nodeHigh = 0
  uid = 0
  gid = 0
  pid = 0
  /** Where each name begins; 0 if the opcode has none. */
  name1 = 0
  name2 = 0
  /** Where what follows the fixed part and the names begins. */
  tail = 0
  /** Where the request ends, without its extensions. */
  end = 0
  private readonly negotiated: ReadonlySet<InitFlag>

  /**
   * @param bytes the buffer that requests are read into
   * @param negotiated the flags that INIT agreed on and that change a request's form
   */
  constructor(bytes: Buffer, negotiated: readonly InitFlag[]) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.negotiated = new Set(negotiated)
  }

  /** Where the fixed part begins. */
  get body(): number {
    return IN_HEADER_SIZE
  }

  /**
   * Takes up the message in the first `length` bytes. After an error the fields that could be read (of the header, if it
   * is whole) are those of this message, so that it can be answered.
   * @throws ProtocolError
   */
  take(length: number): void {
    const { view } = this
    if (length < IN_HEADER_SIZE) throw new ProtocolError('SHORT_HEADER', { expected: IN_HEADER_SIZE, actual: length })
    const unique = header.unique.high(view, 0)
    this.uniqueLow = header.unique.low(view, 0)
    this.resent = unique >= FUSE_UNIQUE_RESEND_HIGH
    this.uniqueHigh = this.resent ? unique - FUSE_UNIQUE_RESEND_HIGH : unique
    this.nodeLow = header.nodeid.low(view, 0)
    this.nodeHigh = header.nodeid.high(view, 0)
    this.uid = header.uid.get(view, 0)
    this.gid = header.gid.get(view, 0)
    this.pid = header.pid.get(view, 0)
    const declared = header.len.get(view, 0)
    if (declared !== length) throw new ProtocolError('LENGTH_MISMATCH', { expected: declared, actual: length })
    const opcode = header.opcode.get(view, 0)
    const shape = shapes[opcode]
    if (!shape) throw new ProtocolError('UNKNOWN_OPCODE', { opcode })
    this.opcode = shape.name
    this.end = length - 8 * header.total_extlen.get(view, 0)
    let at = IN_HEADER_SIZE + this.fixedSize(shape)
    if (at > this.end) throw new ProtocolError('TRUNCATED', { opcode, expected: at, actual: this.end })
    // An older kernel's shorter struct reads as if the rest were zero, not as the message before.
    if (at < IN_HEADER_SIZE + shape.fixed && shape.names === 0)
      this.bytes.fill(0, this.end, IN_HEADER_SIZE + shape.fixed)
    this.name1 = 0
    this.name2 = 0
    if (shape.names > 0) {
      this.name1 = at
      at = this.nameEnd(opcode, at)
    }
    if (shape.names > 1) {
      this.name2 = at
      at = this.nameEnd(opcode, at)
    }
    this.tail = at
    if (shape.each > 0) this.checkRow(opcode, shape.each)
  }

  /** The unique of the message, with the bit of a resent one. For the reply and for logs. */
  get unique(): bigint {
    return header.unique.get(this.view, 0)
  }

  private fixedSize(shape: Shape): number {
    if (shape.extended) return this.negotiated.has(shape.extended) ? shape.fixed : shape.least
    return Math.min(shape.fixed, Math.max(shape.least, this.end - IN_HEADER_SIZE))
  }

  private nameEnd(opcode: number, at: number): number {
    const nul = this.bytes.indexOf(0, at)
    if (nul < 0 || nul >= this.end || nul === at) throw new ProtocolError('BAD_NAME', { opcode, actual: at })
    return nul + 1
  }

  /** A row of structs, whose count is the fixed part's first word: FORGETs and mappings. */
  private checkRow(opcode: number, each: number): void {
    const expected = this.tail + this.view.getUint32(IN_HEADER_SIZE, true) * each
    if (expected > this.end) throw new ProtocolError('TRUNCATED', { opcode, expected, actual: this.end })
  }
}

interface Shape {
  readonly name: OpcodeName
  readonly fixed: number
  readonly least: number
  readonly extended: InitFlag | undefined
  readonly names: number
  readonly each: number
}

/** The rows of the opcode table by number, as the hot path needs them. */
const shapes: (Shape | undefined)[] = []
for (const [name, row] of Object.entries(opcodes) as [OpcodeName, OpcodeRow][]) {
  const fixed = row.in ? sizeOf(row.in) : 0
  shapes[row.number] = {
    name,
    fixed,
    least: row.compat ?? fixed,
    extended: row.extended,
    names: row.names,
    each: row.tail && row.tail !== 'bytes' ? sizeOf(row.tail) : 0,
  }
}

/** The smallest request of an opcode that is valid, header and names of one byte included. */
export function leastSize(opcode: OpcodeName): number {
  const row: OpcodeRow = opcodes[opcode]
  return IN_HEADER_SIZE + (row.compat ?? (row.in ? sizeOf(row.in) : 0)) + 2 * row.names
}

/** The opcode's name; its number in hex if the table lacks it. */
export const opcodeName = (number: number): string => shapes[number]?.name ?? `0x${number.toString(16)}`
