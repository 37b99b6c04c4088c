import t from 'tap'
import { ProtocolError } from '../../src/fuse/error.js'
import { notification, replyHeader } from '../../src/fuse/message.js'
import { type OpcodeName, type OpcodeRow, opcodes } from '../../src/fuse/opcodes.js'
import { leastSize, opcodeName, Request } from '../../src/fuse/request.js'

/** Bytes from fields: [value, width in bytes] or text, which gets its NUL. */
type Field = readonly [number | bigint, 1 | 2 | 4 | 8] | string

function packet(...fields: Field[]): Buffer {
  const parts = fields.map((field) => {
    if (typeof field === 'string') return Buffer.from(`${field}\0`)
    const part = Buffer.alloc(field[1])
    if (field[1] === 8) part.writeBigUInt64LE(BigInt(field[0]))
    else part.writeUIntLE(Number(field[0]), 0, field[1])
    return part
  })
  return Buffer.concat(parts)
}

const header = (opcode: number, length: number, unique: bigint = 2n, extensions = 0): Buffer =>
  packet(
    [length, 4], // len
    [opcode, 4],
    [unique, 8],
    [0x0000_0007_0000_0009n, 8], // nodeid
    [1000, 4], // uid
    [100, 4], // gid
    [4242, 4], // pid
    [extensions, 2], // total_extlen
    [0, 2], // padding
  )

/** A whole request: its header says its length. */
function request(opcode: OpcodeName, ...body: Field[]): Buffer {
  const bytes = packet(...body)
  return Buffer.concat([header(opcodes[opcode].number, 40 + bytes.length), bytes])
}

const read = (bytes: Buffer, flags: ConstructorParameters<typeof Request>[1] = []): Request => {
  const message = Buffer.alloc(4096, 0x55)
  bytes.copy(message)
  const read = new Request(message, flags)
  read.take(bytes.length)
  return read
}

t.test('a request is read where it lies', async (t) => {
  const rename = read(
    request(
      'RENAME2',
      [11, 8], // newdir
      [1, 4], // flags
      [0, 4], // padding
      'old',
      'new name',
    ),
  )
  t.match(rename, {
    opcode: 'RENAME2',
    uniqueLow: 2,
    uniqueHigh: 0,
    unique: 2n,
    resent: false,
    nodeLow: 9,
    nodeHigh: 7,
    uid: 1000,
    gid: 100,
    pid: 4242,
    body: 40,
    name1: 56,
    name2: 60,
    tail: 69,
    end: 69,
  })
  t.equal(rename.bytes.toString('utf8', rename.name2, rename.tail - 1), 'new name')
})

t.test('a resent request says so, and its unique is without the bit', async (t) => {
  const resent = read(header(opcodes.READLINK.number, 40, (1n << 63n) | (5n << 32n) | 6n))
  t.match(resent, { resent: true, uniqueLow: 6, uniqueHigh: 5, unique: (1n << 63n) | (5n << 32n) | 6n })
})

t.test('extensions at the end are no part of the body', async (t) => {
  const body = packet([0o755, 4], [0o22, 4], 'dir') // fuse_mkdir_in, name
  const bytes = Buffer.concat([header(opcodes.MKDIR.number, 40 + 12 + 16, 2n, 2), body, Buffer.alloc(16, 1)])
  t.match(read(bytes), { name1: 48, tail: 52, end: 52 })
})

t.test('the form of SETXATTR follows what was negotiated', async (t) => {
  const short = request('SETXATTR', [3, 4], [0, 4], 'user.a', [0x636261, 4])
  t.match(read(short), { name1: 48, tail: 55 })
  const long = request('SETXATTR', [3, 4], [0, 4], [1, 4], [0, 4], 'user.a', [0x636261, 4])
  t.match(read(long, ['FUSE_SETXATTR_EXT']), { name1: 56, tail: 63 })
})

t.test('the shorter struct of an older kernel reads as if the rest were zero', async (t) => {
  const init = read(request('INIT', [7, 4], [31, 4], [131072, 4], [0xff, 4]))
  t.equal(init.view.getUint32(40 + 16, true), 0, 'flags2')
  t.equal(init.view.getUint32(40 + 60, true), 0, 'the last of the unused')
})

t.test('every opcode cut at every byte is refused, or is a shorter form that is valid', async (t) => {
  for (const [name, row] of Object.entries(opcodes) as [OpcodeName, OpcodeRow][]) {
    const least = leastSize(name)
    const whole = Buffer.alloc(least, 0)
    header(row.number, least).copy(whole)
    // The names, of one byte each, stand at the end.
    for (let i = 1; i <= row.names; i++) whole[least - 2 * i] = 0x61
    t.equal(read(whole).opcode, name, `${name} of ${least} bytes`)
    for (let length = 0; length < least; length++) {
      const cut = Buffer.from(whole.subarray(0, length))
      if (length >= 4) cut.writeUInt32LE(length, 0)
      t.throws(() => read(cut), { name: 'ProtocolError' }, `${name} cut to ${length}`)
    }
  }
})

t.test('strange bytes are errors with a code', async (t) => {
  const rows: [string, Buffer, ProtocolError['code']][] = [
    ['nothing', Buffer.alloc(0), 'SHORT_HEADER'],
    ['a header that lacks a byte', header(1, 39).subarray(0, 39), 'SHORT_HEADER'],
    ['a length that is too large', header(opcodes.STATFS.number, 41), 'LENGTH_MISMATCH'],
    ['a length that is too small', header(opcodes.STATFS.number, 39), 'LENGTH_MISMATCH'],
    ['an opcode of no row', header(7, 40), 'UNKNOWN_OPCODE'],
    ['an opcode far off', header(0xffff_ffff, 40), 'UNKNOWN_OPCODE'],
    ['an empty name', request('LOOKUP', [0, 1]), 'BAD_NAME'],
    ['a name that does not end', request('LOOKUP', [0x61, 1]), 'BAD_NAME'],
    ['a second name that is missing', request('SYMLINK', 'a'), 'BAD_NAME'],
    ['extensions longer than the message', header(opcodes.STATFS.number, 40, 2n, 9), 'TRUNCATED'],
    ['extensions that leave half a struct', header(opcodes.MKDIR.number, 40, 2n, 1), 'TRUNCATED'],
    ['more to forget than there is', request('BATCH_FORGET', [2, 4], [0, 4], [5, 8], [1, 8]), 'TRUNCATED'],
    ['as many to forget as a u32 holds', request('BATCH_FORGET', [0xffff_ffff, 4], [0, 4]), 'TRUNCATED'],
  ]
  for (const [what, bytes, code] of rows) t.throws(() => read(bytes), { name: 'ProtocolError', code }, what)
})

t.test('after an error the request can still be answered', async (t) => {
  const message = Buffer.alloc(4096)
  const bytes = header(4711, 40, 88n)
  bytes.copy(message)
  const request = new Request(message, [])
  t.throws(() => request.take(40), ProtocolError)
  t.match(request, { uniqueLow: 88, uniqueHigh: 0 })
})

t.test('names that the table lacks are hex', async (t) => {
  t.equal(opcodeName(15), 'READ')
  t.equal(opcodeName(4711), '0x1267')
})

t.test('a reply has its length, its errno and the id of its request', async (t) => {
  const view = new DataView(new ArrayBuffer(16))
  t.equal(replyHeader(view, 6, 0x8000_0005, 0, 8), 24)
  t.same(Buffer.from(view.buffer), packet([24, 4], [0, 4], [(1n << 63n) | (5n << 32n) | 6n, 8]))
  t.equal(replyHeader(view, 6, 0, 2, 8), 16, 'an error has no body')
  t.same(Buffer.from(view.buffer), packet([16, 4], [0xffff_fffe, 4], [6, 8]))
})

t.test('a notification is a reply to nothing with a code', async (t) => {
  t.same(notification('FUSE_NOTIFY_RESEND'), packet([16, 4], [7, 4], [0, 8]))
  t.same(notification('FUSE_NOTIFY_INC_EPOCH'), packet([16, 4], [8, 4], [0, 8]))
  t.same(
    notification('FUSE_NOTIFY_DELETE', Buffer.from('body')),
    Buffer.concat([packet([20, 4], [6, 4], [0, 8]), Buffer.from('body')]),
  )
})
