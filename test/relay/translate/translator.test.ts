// The relay's rules without a kernel and without a daemon: what goes in at one end and what comes out at the other.
import t from 'tap'
import { resolverMessage, resolverQuestions } from '../../../src/elf/resolver.js'
import { FATTR } from '../../../src/fuse/flags.js'
import { layout } from '../../../src/fuse/layout.js'
import { opcodes } from '../../../src/fuse/opcodes.js'
import { closeFd } from '../../../src/native/descriptor.js'
import { openFlags } from '../../../src/native/open-flags.js'
import { receiveNow, sendMessage, socketpair } from '../../../src/native/socket.js'
import { Memory } from '../../../src/relay/memory.js'
import { SPLICED } from '../../../src/relay/translate/pieces.js'
import { MOST_DATA } from '../../../src/relay/wire/wire.js'
import { withResolver } from '../played-resolver.js'
import { type Asked, entry, halves, LIFE, name, RESENT, reply, Scene, words } from '../scene.js'

const EPERM = 1
const ENOENT = 2
const EINTR = 4
const EIO = 5
const EAGAIN = 11
const EEXIST = 17
const ENOTEMPTY = 39
const ENOSYS = 38
const ESTALE = 116
const O_APPEND = 0o2000
const O_CREAT = 0o100
const O_TRUNC = 0o1000
const O_EXCL = 0o200
const { FATTR_MODE, FATTR_UID, FATTR_GID } = FATTR
const setattr = layout('fuse_setattr_in')
const number = (opcode: keyof typeof opcodes): number => opcodes[opcode].number

t.test('a nodeid that this life gives out carries the life, and is the same each time', async (t) => {
  const scene = new Scene(t)
  const node = scene.found(2n, 0x7f00_1234_5678n)
  t.equal(node >> 48n, LIFE)
  t.equal(node & 0xffff_ffffn, 0x1234_5678n, 'its lower half is the daemon’s')
  t.equal(scene.found(4n, 0x7f00_1234_5678n), node)
  t.not(scene.found(6n, 0x7f01_1234_5678n), node, 'another file with the same lower half has another')
  scene.ask('GETATTR', 8n, node, halves(0, 0, 0, 0))
  t.match(scene.asked(), [{ opcode: number('GETATTR'), unique: 8n, node: 0x7f00_1234_5678n }])
})

t.test('the root is the root on both sides', async (t) => {
  const scene = new Scene(t)
  scene.ask('STATFS', 2n, 1n)
  t.match(scene.asked(), [{ node: 1n }])
  t.equal(scene.found(4n, 1n, 1n), 1n)
})

t.test('an inode number that is the nodeid is shown as the kernel’s, another one as it is', async (t) => {
  const scene = new Scene(t)
  for (const [ino, isNode] of [
    [5n, true],
    [77n, false],
  ] as const) {
    scene.ask('LOOKUP', 2n, 1n, name('f'))
    scene.say(2n, 0, entry(5n, { ino }))
    const body = scene.told()[0]?.body
    t.equal(body?.readBigUInt64LE(40), isNode ? body?.readBigUInt64LE(0) : ino)
  }
  scene.adopt(9n, 50n)
  scene.ask('GETATTR', 4n, 9n, halves(0, 0, 0, 0))
  scene.say(4n, 0, Buffer.concat([Buffer.alloc(16), words(50n), Buffer.alloc(80)]))
  t.equal(scene.told()[0]?.body.readBigUInt64LE(16), 9n, 'also of a file of an earlier life')
})

t.test('a file of an earlier life keeps its nodeid when it is looked up', async (t) => {
  const scene = new Scene(t)
  scene.adopt(3n, 0x55n)
  t.equal(scene.found(2n, 0x55n), 3n)
})

t.test('an opcode that is not known is passed on if it carries a nodeid and nothing else', async (t) => {
  const later = 99
  const scene = new Scene(t)
  scene.adopt(3n, 0x55n)
  scene.ask(later, 2n, 3n)
  t.match(scene.asked(), [{ opcode: later, unique: 2n, node: 0x55n }])
  scene.say(2n, 0)
  t.match(scene.told(), [{ unique: 2n, error: 0 }])
  scene.ask(later, 4n, 3n)
  scene.say(4n, -ENOTEMPTY)
  t.match(scene.told(), [{ unique: 4n, error: -ENOTEMPTY }])

  t.same(scene.asked().length, 1)
  scene.ask(later, 6n, 3n, words(0n))
  t.match(scene.told(), [{ unique: 6n, error: -ENOSYS }], 'where an id might stand that nobody could translate')
  scene.ask(later, RESENT | 8n, 3n)
  t.match(scene.told(), [{ unique: RESENT | 8n, error: -EIO }], 'it may not be repeated')
  t.same(scene.asked(), [], 'the daemon hears of neither')
  scene.ask(later, 10n, 3n)
  scene.say(10n, 0, words(0x55n))
  t.match(scene.told(), [{ unique: 10n, error: -EIO }], 'nor is an answer handed on that might hold one')
  t.ok(scene.reports.includes('unknown opcode'))
})

t.test('a nodeid that nobody can tell is stale', async (t) => {
  const scene = new Scene(t)
  scene.ask('GETATTR', 2n, 99n, halves(0, 0, 0, 0))
  t.equal(scene.stale.hasReady, false)
  scene.stale.askDelayed()
  t.equal(scene.stale.hasReady, true, 'the request waited for the resolver, which is not there')
  scene.stale.redo()
  t.match(scene.told(), [{ unique: 2n, error: -ESTALE }])
  for (const dots of ['.', '..']) {
    scene.ask('LOOKUP', 4n, 98n, name(dots))
    t.match(scene.told(), [{ error: -ESTALE }], `and ${dots} in it, by which the kernel looks for it, at once`)
  }
  t.same(scene.asked(), [])
})

t.test('a nodeid is asked for with each generation that this mount’s were seen to have', async (t) => {
  for (const [isGiven, isCached] of [
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ]) {
    const [line, resolver] = socketpair('seqpacket')
    t.teardown(() => [line, resolver].forEach(closeFd))
    const scene = new Scene(t, line)
    scene.stale.line.isOpen = true
    if (isGiven) {
      scene.ask('LOOKUP', 2n, 1n, name('f'))
      scene.say(2n, 0, entry(5n, { generation: 3n }))
    }
    // OPENDIR, two READDIRs, RELEASEDIR, LOOKUP: what there is, and what this life calls the first of it.
    scene.willSay(0, words(0x99n, 0n))
    scene.willSay(0, Buffer.concat([words(1n, 1n), halves(1, 8), Buffer.from('f\0\0\0\0\0\0\0')]))
    scene.willSay(0)
    scene.willSay(0)
    if (!isGiven) {
      scene.willSay(0, entry(5n, { generation: 3n }))
      scene.willForget()
    }
    scene.ask('GETATTR', 4n, 99n, halves(0, 0, 0, 0))
    scene.stale.askDelayed()
    const tried: number[] = []
    let children = 0
    for (let asked = receiveNow(resolver); asked; asked = receiveNow(resolver)) {
      const isChild = asked.bytes.readUInt32LE(resolverMessage.op) === resolverQuestions.CHILD
      const answer = asked.bytes.subarray(0, resolverMessage.statx)
      const generation = resolverMessage.argument + 16
      if (isChild) children++
      else tried.push(answer.readUInt32LE(generation))
      answer.writeInt32LE(isChild ? (isCached ? 0 : -EAGAIN) : -ESTALE, resolverMessage.result)
      if (isChild) answer.writeUInt32LE(7, generation)
      sendMessage(resolver, answer)
      scene.stale.line.receive()
    }
    t.equal(children, 1, 'the kernel is asked once what it has cached of the root')
    const known = isGiven ? [3, 0, ...(isCached ? [7] : [])] : [0, ...(isCached ? [7] : []), 3]
    t.same(tried.slice(0, known.length), known)
    const counted = Array.from({ length: isCached ? 4096 : 64 }, (_, i) => i)
    t.same(
      tried.toSorted((a, b) => a - b),
      counted,
      'and then with what a daemon may have counted to',
    )
    t.equal(scene.stale.hasReady, true, 'and is gone if it is none of them')
  }
})

t.test('a file is found hidden under the id that it had in the life that removed its name', async (t) => {
  for (const path of ['/mnt/f (deleted)', '/mnt/f']) {
    const memory = new Memory()
    const [line, resolver] = socketpair('seqpacket')
    t.teardown(() => [line, resolver].forEach(closeFd))
    const before = new Scene(t, -1, memory)
    before.adopt(3n, 0x55n)
    before.willSay(0, entry(0x55n))
    before.ask('UNLINK', 2n, 1n, name('f'))
    before.asked()

    const scene = new Scene(t, line, memory)
    scene.stale.line.isOpen = true
    scene.ask('GETATTR', 2n, 3n, halves(0, 0, 0, 0))
    scene.stale.askDelayed()
    const question = receiveNow(resolver)?.bytes
    if (!question) throw new Error('nobody asked')
    const answer = Buffer.alloc(resolverMessage.path)
    question.copy(answer, 0, 0, resolverMessage.argument)
    answer.writeInt32LE(0, resolverMessage.result)
    sendMessage(resolver, Buffer.concat([answer, Buffer.from(path)]))
    const dirent = (offset: bigint, text: string): Buffer =>
      Buffer.concat([words(1n, offset), halves(text.length, 8), Buffer.from(text.padEnd(32, '\0'))])
    const hidden = '.fuse_hidden0000005500000002'
    // The name itself, where the kernel still has it.
    if (path === '/mnt/f') scene.willSay(-ENOENT)
    // OPENDIR, two READDIRs, RELEASEDIR.
    scene.willSay(0, words(0x99n, 0n))
    scene.willSay(0, Buffer.concat([dirent(1n, '.fuse_hidden0000000300000001'), dirent(2n, hidden)]))
    scene.willSay(0)
    scene.willSay(0)
    scene.willSay(0, entry(9n))
    scene.stale.line.receive()
    t.match(scene.asked().at(-1), { opcode: number('LOOKUP'), node: 1n, body: name(hidden) })
    const above = receiveNow(resolver)?.bytes.subarray(0, resolverMessage.argument)
    if (!above) throw new Error('nobody asked for the folder above')
    above.writeInt32LE(-ESTALE, resolverMessage.result)
    sendMessage(resolver, above)
    scene.stale.line.receive()
    scene.stale.redo()
    t.match(scene.asked(), [{ opcode: number('GETATTR'), node: 9n }])
    // The hidden name goes with it.
    scene.willSay(0)
    scene.ask('FORGET', 0n, 3n, words(1n))
    t.equal(memory.hiddenAs.size, 0, 'and remembered no longer than the kernel holds it')
  }
})

t.test('a name is never renamed to itself: the kernel looks it up again', async (t) => {
  const rename = [words(3n), name('a'), name('a')]
  for (const [unique, folder] of [
    [2n, 3n],
    // Another nodeid of the same folder.
    [4n, 5n],
    [RESENT | 6n, 3n],
  ] as const) {
    const scene = new Scene(t)
    scene.adopt(3n, 7n)
    scene.adopt(5n, 7n)
    scene.ask('RENAME', unique, folder, ...rename)
    t.same(scene.asked(), [])
    t.match(scene.told(), [{ unique, error: -ESTALE }])
  }
})

t.test('lookups are counted: what this life gave is forgotten to it, what others gave is not', async (t) => {
  const scene = new Scene(t)
  const node = scene.found(2n, 7n)
  scene.found(4n, 7n)
  scene.ask('FORGET', 0n, node, words(1n))
  t.match(scene.asked(), [{ opcode: number('FORGET'), node: 7n, body: words(1n) }])
  scene.ask('FORGET', 0n, node, words(1n))
  t.match(scene.asked(), [{ node: 7n, body: words(1n) }])
  t.equal(scene.translator.nodes.live, 0)
  scene.ask('FORGET', 0n, 1234n, words(5n))
  t.same(scene.asked(), [], 'an unknown one is swallowed')

  scene.adopt(3n, 8n)
  scene.found(6n, 8n)
  scene.ask('FORGET', 0n, 3n, words(1n))
  t.match(scene.asked(), [{ node: 8n, body: words(1n) }], 'one that the kernel made no use of')
  scene.ask('FORGET', 0n, 3n, words(39n))
  t.match(scene.asked(), [{ node: 8n, body: words(1n) }], 'the one that found it, none of the 39')
  t.equal(scene.translator.nodes.staleCount, 0)
})

t.test('of many forgotten at once only those of this life are passed on', async (t) => {
  const scene = new Scene(t)
  const [a, b] = [scene.found(2n, 7n), scene.found(4n, 8n)]
  scene.ask('BATCH_FORGET', 0n, 0n, halves(3, 0), words(a, 1n, 4321n, 9n, b, 1n))
  t.match(scene.asked(), [
    { opcode: number('BATCH_FORGET'), body: Buffer.concat([halves(2, 0), words(7n, 1n, 8n, 1n)]) },
  ])
})

t.test('a handle that this life gives out carries the life, and is the daemon’s again on the way back', async (t) => {
  const scene = new Scene(t)
  const node = scene.found(2n, 7n)
  scene.ask('OPEN', 4n, node, halves(2, 0))
  scene.asked()
  scene.say(4n, 0, words(0xabcdn, 0n))
  const fh = scene.told()[0]?.body.readBigUInt64LE(0) ?? 0n
  t.equal(fh >> 48n, LIFE)
  scene.ask('READ', 6n, node, words(fh, 0n), halves(10, 0, 0, 0, 2, 0))
  t.equal(scene.asked()[0]?.body.readBigUInt64LE(0), 0xabcdn)
  scene.ask('RELEASE', 8n, node, words(fh), halves(0, 0), words(0n))
  t.equal(scene.asked()[0]?.body.readBigUInt64LE(0), 0xabcdn)
  t.equal(scene.translator.handles.live, 0)
})

t.test('a handle of an earlier life is opened again with the flags of the request', async (t) => {
  for (const [what, opcode, flags, expected] of [
    ['reading', 'READ', 0, 0],
    ['writing', 'WRITE', 2 | O_APPEND | O_CREAT | O_EXCL | O_TRUNC, 2 | O_APPEND],
    ['writing from the cache', 'WRITE', 0, 2],
    ['reading past the page cache', 'READ', openFlags.O_DIRECT, 0],
  ] as const) {
    const scene = new Scene(t)
    scene.adopt(3n, 7n)
    scene.willSay(0, words(0x99n, 0n))
    scene.from(1234)
    scene.ask(opcode, 4n, 3n, words(5n, 0n), halves(4, 0), words(0n), halves(flags, 0), Buffer.from('data'))
    const [open, request] = scene.asked()
    t.match(open, { opcode: number('OPEN'), node: 7n, tid: 1234 }, `${what}: for the same thread`)
    t.equal(open?.body.readUInt32LE(0), expected, what)
    t.equal(request?.body.readBigUInt64LE(0), 0x99n, what)
    scene.say(4n, -EIO)
    scene.ask(opcode, 6n, 3n, words(5n, 0n), halves(4, 0), words(0n), halves(flags, 0), Buffer.from('data'))
    t.match(scene.asked(), [{ opcode: number(opcode) }], `${what}: only once`)
  }
})

t.test('a handle of an earlier life that nobody has used is closed without the daemon', async (t) => {
  const scene = new Scene(t)
  scene.adopt(3n, 7n)
  scene.ask('FLUSH', 2n, 3n, words(5n, 0n, 0n))
  scene.ask('RELEASE', 4n, 3n, words(5n, 0n, 0n))
  t.same(scene.asked(), [])
  t.match(scene.told(), [
    { unique: 2n, error: 0 },
    { unique: 4n, error: 0 },
  ])
})

t.test('attributes are asked for and set without the handle of an earlier life', async (t) => {
  for (const [opcode, flag, rest] of [
    ['GETATTR', 1, 0],
    ['SETATTR', 64, 72],
  ] as const) {
    const scene = new Scene(t)
    scene.adopt(3n, 7n)
    scene.ask(opcode, 2n, 3n, halves(flag, 0), words(5n), Buffer.alloc(rest))
    const [request] = scene.asked()
    t.equal(request?.body.readUInt32LE(0), 0, `${opcode} says that it has none`)
    t.equal(request?.body.readBigUInt64LE(8), 0n, `${opcode} names none: not every daemon looks whether it counts`)
  }
})

t.test('a folder half read is first read again up to there', async (t) => {
  const scene = new Scene(t)
  scene.adopt(3n, 7n)
  const dirent = (offset: bigint): Buffer =>
    Buffer.concat([words(1n, offset), halves(3, 8), Buffer.from('abc\0\0\0\0\0')])
  scene.willSay(0, words(0x99n, 0n))
  scene.willSay(0, Buffer.concat([dirent(1n), dirent(2n)]))
  scene.ask('READDIR', 2n, 3n, words(5n, 2n), halves(4096, 0), words(0n), halves(0, 0))
  t.match(
    scene.asked().map(({ opcode, body }) => [opcode, opcode === number('READDIR') ? body.readBigUInt64LE(8) : null]),
    [
      [number('OPENDIR'), null],
      [number('READDIR'), 0n],
      [number('READDIR'), 2n],
    ],
  )
})

/** How many names a request takes away: those are looked up first. */
const taken: Record<string, number> = { UNLINK: 1, RMDIR: 1, RENAME: 2, RENAME2: 2 }

t.test('what is taken away is looked up in this life before, and forgotten once that is answered', async (t) => {
  for (const [what, opcode, body, folders] of [
    ['UNLINK', 'UNLINK', [name('a')], [1n]],
    ['RMDIR', 'RMDIR', [name('a')], [1n]],
    ['RENAME', 'RENAME', [words(3n), name('a'), name('b')], [1n, 7n]],
    ['RENAME2', 'RENAME2', [words(3n), halves(1, 0), name('a'), name('b')], [1n, 7n]],
  ] as const) {
    const scene = new Scene(t)
    scene.adopt(3n, 7n)
    for (const i of folders.keys()) scene.willSay(0, entry(20n + BigInt(i)))
    scene.ask(opcode, 2n, 1n, ...body)
    const looks = folders.map((node, i) => ({ opcode: number('LOOKUP'), node, body: name('ab'.charAt(i)) }))
    t.match(scene.asked(), [...looks, { opcode: number(opcode), unique: 2n }], what)
    scene.say(2n, 0)
    t.match(scene.told(), [{ unique: 2n, error: 0 }])
    const forgets = scene.asked().toSorted((a, b) => Number(a.node - b.node))
    t.match(
      forgets,
      folders.map((_, i) => ({ opcode: number('FORGET'), node: 20n + BigInt(i), body: words(1n) })),
    )
  }
})

/** Of the daemon: an errno for the request itself, what it says when asked by the relay, or to the request once more. */
type Answer = number | Buffer | { error: number } | { again: Buffer } | 'forgets'

/** struct fuse_attr_out. */
function attributes(ino: bigint, size: number): Buffer {
  const bytes = Buffer.alloc(104)
  bytes.writeBigUInt64LE(ino, 16)
  bytes.writeBigUInt64LE(BigInt(size), 24)
  return bytes
}

t.test('a resent request is settled as if done once', async (t) => {
  const folder = entry(9n, { mode: 0o040755 })
  const file = entry(9n, { mode: 0o100644 })
  const full = entry(9n, { mode: 0o100644, size: 5n })
  const symlink = entry(9n, { mode: 0o120777 })
  const numbered = entry(9n, { ino: 9n })
  const nothing = Buffer.alloc(0)
  const mkdir = [halves(0o755, 0), name('d')]
  /** OPENDIR, READDIR, RELEASEDIR. */
  const readable = [words(1n, 0n), nothing, nothing]
  const link = (node: bigint) => [words(node), name('l')]
  const none = { error: -ENOENT }
  const filled = { error: -ENOTEMPTY }
  const set = halves(1, 1)
  const anyhow = halves(O_CREAT | 2, 0o100644, 0, 0)
  const exclusive = halves(O_CREAT | O_EXCL | 2, 0o100644, 0, 0)
  for (const [what, opcode, body, answers, told] of [
    ['MKDIR done or half done', 'MKDIR', mkdir, [-EEXIST, folder, nothing, 'forgets', { again: folder }], 0],
    ['MKDIR done and used', 'MKDIR', mkdir, [-EEXIST, folder, filled, 'forgets', folder, 'forgets', folder], 0],
    [
      'MKDIR done for good',
      'MKDIR',
      mkdir,
      [-EEXIST, folder, { error: -EPERM }, ...readable, 'forgets', folder, 'forgets', folder],
      0,
    ],
    ['MKDIR not done', 'MKDIR', mkdir, [-EEXIST, file, 'forgets', file], -EEXIST],
    ['MKDIR half done for good', 'MKDIR', mkdir, [-EEXIST, folder, none, { error: -EIO }, 'forgets'], -EIO],
    ['LINK done', 'LINK', link(3n), [-EPERM, numbered, attributes(7n, 5), attributes(9n, 5), 'forgets', numbered], 0],
    ['LINK to another', 'LINK', link(3n), [-EPERM, numbered, attributes(7n, 5), attributes(9n, 6)], -EPERM],
    ['LINK by its inode', 'LINK', link(3n), [-EPERM, file, attributes(5n, 5), attributes(5n, 5), 'forgets', file], 0],
    ['LINK to another inode', 'LINK', link(3n), [-EPERM, file, attributes(5n, 5), attributes(6n, 5)], -EPERM],
    ['UNLINK done', 'UNLINK', [name('f')], [-ENOENT, none], 0],
    ['RMDIR done', 'RMDIR', [name('f')], [-ENOENT, none], 0],
    ['RMDIR half done', 'RMDIR', [name('f')], [-ENOENT, folder, 'forgets'], -EIO],
    ['RENAME done', 'RENAME', [words(1n), name('a'), name('b')], [-ENOENT, none, file], 0],
    ['RENAME of nothing', 'RENAME', [words(1n), name('a'), name('b')], [-ENOENT, none, none], -ENOENT],
    ['RENAME that failed', 'RENAME2', [words(1n), halves(1, 0), name('a'), name('b')], [-EEXIST, file], -EEXIST],
    ['SYMLINK done', 'SYMLINK', [name('l'), name('to')], [-EEXIST, symlink, Buffer.from('to'), 'forgets', symlink], 0],
    ['SYMLINK to elsewhere', 'SYMLINK', [name('l'), name('to')], [-EEXIST, symlink, Buffer.from('x')], -EEXIST],
    ['SETXATTR done', 'SETXATTR', [set, name('user.a'), Buffer.from('v')], [-EEXIST, Buffer.from('v')], 0],
    ['SETXATTR not done', 'SETXATTR', [set, name('user.a'), Buffer.from('v')], [-EEXIST, Buffer.from('w')], -EEXIST],
    ['REMOVEXATTR done', 'REMOVEXATTR', [name('user.a')], [-61], 0],
    ['CREATE done', 'CREATE', [exclusive, name('f')], [-EEXIST, file, words(3n, 0n)], 0],
    ['CREATE done, not exclusive', 'CREATE', [anyhow, name('f')], [-EEXIST, full, words(3n, 0n)], 0],
    ['CREATE not exclusive that failed', 'CREATE', [anyhow, name('f')], [-EPERM], -EPERM],
    ['CREATE of what is there', 'CREATE', [exclusive, name('f')], [-EEXIST, full], -EEXIST],
    ['IOCTL', 'IOCTL', [words(0n), halves(0, 0x4004_6602), words(0n), halves(0, 0)], [], -EIO],
  ] as const) {
    const scene = new Scene(t)
    if (opcode === 'IOCTL' || opcode === 'LINK') scene.adopt(3n, 7n)
    if (opcode === 'IOCTL') scene.willSay(0, words(1n, 0n))
    scene.willFindNone(taken[opcode] ?? 0)
    const [first, ...own] = answers as readonly Answer[]
    if (typeof first === 'number') scene.queue(2n, first)
    for (const answer of own) {
      if (Buffer.isBuffer(answer)) scene.willSay(0, answer)
      else if (answer === 'forgets') scene.willForget()
      else if (typeof answer === 'object' && 'again' in answer) scene.queueRaw(reply(2n, 0, answer.again))
      else if (typeof answer === 'object') scene.willSay(answer.error)
    }
    scene.ask(opcode, RESENT | 2n, opcode === 'IOCTL' ? 3n : 1n, ...body)
    t.match(scene.told(), [{ unique: RESENT | 2n, error: told }], what)
    t.ok(
      scene.asked().every(({ unique }) => (unique & RESENT) === 0n),
      `${what}: the daemon sees no mark`,
    )
    t.equal(scene.translator.pending.size, 0, `${what}: nothing is left open`)
  }
})

t.test('what a daemon has made and given no mode yet is given it', async (t) => {
  const bare = entry(9n, { mode: 0o100000 })
  const whole = entry(9n, { mode: 0o100640 })
  const nothing = Buffer.alloc(0)
  const mknod = halves(0o100666, 0, 0o026, 0)
  const create = halves(O_CREAT | O_EXCL | 2, 0o100666, 0o026, 0)
  for (const [opcode, body, after] of [
    ['MKNOD', mknod, ['forgets', whole]],
    ['CREATE', create, ['forgets', whole, words(3n, 0n)]],
  ] as const)
    for (const caller of [0, 1000]) {
      const scene = new Scene(t)
      scene.as(caller)
      scene.queue(2n, -EEXIST)
      for (const answer of [bare, nothing, ...after])
        if (answer === 'forgets') scene.willForget()
        else scene.willSay(0, answer)
      scene.ask(opcode, RESENT | 2n, 1n, body, name('f'))
      t.match(scene.told(), [{ unique: RESENT | 2n, error: 0 }], opcode)
      const given = scene.asked().find((asked) => asked.opcode === number('SETATTR'))
      t.equal(given?.node, 9n)
      t.equal(given?.body.readUInt32LE(setattr.mode.offset), 0o100640)
      const isOwned = caller !== 0
      t.equal(given?.body.readUInt32LE(setattr.valid.offset), isOwned ? FATTR_MODE | FATTR_UID | FATTR_GID : FATTR_MODE)
      if (isOwned) t.equal(given?.body.readUInt32LE(setattr.uid.offset), caller)
    }
})

t.test('a rename from one name of a file to another is for the kernel to leave undone', async (t) => {
  const { scene } = withResolver(t)
  scene.from(1234)
  const rename = [words(1n), name('a'), name('b')] as const
  for (const opcode of ['RENAME', 'RENAME2'] as const) {
    const body = opcode === 'RENAME' ? rename : [words(1n), halves(2, 0), name('a'), name('b')]
    scene.willSay(0, entry(9n))
    scene.willSay(0, entry(9n))
    scene.ask(opcode, 2n, 1n, ...body)
    t.match(scene.told(), [{ unique: 2n, error: -ESTALE }], 'it looks up both again, and sees that they are one')
    t.same(
      scene.asked().filter((asked) => asked.opcode === number(opcode)),
      [],
    )
    // Told so twice, an application would see it.
    scene.willSay(0, entry(9n))
    scene.willSay(0, entry(9n))
    scene.ask(opcode, 4n, 1n, ...body)
    t.same(scene.told(), [])
    t.match(
      scene.asked().filter((asked) => asked.opcode === number(opcode)),
      [{ unique: 4n }],
    )
  }
})

t.test(
  'a read that the daemon answers in several messages is asked for again in pieces, and so are the next',
  async (t) => {
    const scene = new Scene(t)
    const size = 2 * SPLICED + 5000
    const data = Buffer.from(Uint32Array.from({ length: size / 4 }, (_, i) => i).buffer)
    const parts = [data.subarray(0, SPLICED), data.subarray(SPLICED, 2 * SPLICED), data.subarray(2 * SPLICED)]
    const read = (unique: bigint): void => scene.ask('READ', unique, 1n, words(5n, 8192n), halves(size, 0, 0, 0, 0, 0))
    scene.willSay(0, words(5n, 0n))
    read(RESENT | 2n)
    scene.asked()
    const whole = reply(2n, 0, data)
    for (const [from, to] of [
      [0, 61_456],
      [61_456, whole.length],
    ])
      scene.queueRaw(whole.subarray(from, to))
    for (const part of parts) scene.willSay(0, part)
    scene.hear()
    for (const unique of [RESENT | 2n, 4n]) {
      if (unique === 4n) {
        for (const part of parts) scene.willSay(0, part)
        read(unique)
      }
      const [told] = scene.told()
      t.match(told, { unique, error: 0 })
      t.ok(told?.body.equals(data), 'each byte is in its place')
      t.same(
        scene.asked().map(({ body }) => [body.readBigUInt64LE(8), body.readUInt32LE(16)]),
        parts.map((part, i) => [8192n + BigInt(i * SPLICED), i === 2 ? size - 2 * SPLICED : part.length]),
      )
    }
    t.equal(scene.translator.pending.size, 0)
    scene.willSay(0, parts[0])
    scene.willSay(0, Buffer.alloc(10))
    read(6n)
    t.equal(scene.told()[0]?.body.length, SPLICED + 10, 'up to the end of the file')
    scene.willSay(0, parts[0])
    scene.willSay(-EIO)
    read(8n)
    t.match(scene.told(), [{ unique: 8n, error: -EIO, body: Buffer.alloc(0) }])
  },
)

t.test('what is larger than a message is read and written piece by piece, up to where the daemon stops', async (t) => {
  const scene = new Scene(t)
  const size = 2 * MOST_DATA + 5000
  const data = Buffer.from(Uint32Array.from({ length: size / 4 }, (_, i) => i).buffer)
  const parts = [0, 1, 2].map((i) => data.subarray(i * MOST_DATA, (i + 1) * MOST_DATA))
  const offsets = parts.map((_, i) => 8192n + BigInt(i * MOST_DATA))
  scene.willSay(0, words(5n, 0n))
  for (const part of parts) scene.willSay(0, part)
  scene.ask('READ', 2n, 1n, words(5n, 8192n), halves(size, 0, 0, 0, 2, 0))
  t.ok(scene.told()[0]?.body.equals(data), 'each byte that was read is in its place')
  const [, ...reads] = scene.asked()
  t.same(
    reads.map(({ body }) => [body.readBigUInt64LE(8), body.readUInt32LE(16)]),
    offsets.map((offset, i) => [offset, parts[i]?.length]),
  )
  const write = (unique: bigint): void =>
    scene.ask('WRITE', unique, 1n, words(5n, 8192n), halves(size, 0), words(9n), halves(2, 0), data)
  const said = (count: number | undefined): void => scene.willSay(0, halves(count ?? 0, 0))
  for (const part of parts) said(part.length)
  write(RESENT | 4n)
  t.match(scene.told(), [{ unique: RESENT | 4n, error: 0, body: halves(size, 0) }])
  const pieces = scene.asked()
  t.same(
    pieces.map(({ body }) => body.readBigUInt64LE(8)),
    offsets,
  )
  t.ok(Buffer.concat(pieces.map(({ body }) => body.subarray(40))).equals(data), 'each byte is written in its place')
  for (const { body } of pieces) t.equal(body.readUInt32LE(16), body.length - 40)
  said(MOST_DATA)
  said(1000)
  write(6n)
  t.match(scene.told(), [{ unique: 6n, error: 0, body: halves(MOST_DATA + 1000, 0) }], 'nothing after a short one')
  said(MOST_DATA)
  scene.willSay(-EIO)
  write(8n)
  t.match(scene.told(), [{ unique: 8n, error: 0, body: halves(MOST_DATA, 0) }], 'what was written before an error')
  scene.willSay(-EPERM)
  write(10n)
  t.match(scene.told(), [{ unique: 10n, error: -EPERM }])
  t.equal(scene.translator.pending.size, 0)
  scene.asked()
  scene.willSay(0, words(6n, 0n))
  scene.ask('READDIR', 12n, 1n, words(6n, 0n), halves(size, 0, 0, 0, 0, 0))
  t.equal(scene.asked().at(-1)?.body.readUInt32LE(16), MOST_DATA, 'of a listing no more is asked for')
})

t.test('an interrupt reaches the daemon only for what the daemon has', async (t) => {
  const scene = new Scene(t)
  scene.ask('INTERRUPT', 3n, 0n, words(2n))
  t.same(scene.asked(), [])
  scene.ask('STATFS', RESENT | 2n, 1n)
  scene.ask('INTERRUPT', RESENT | 3n, 0n, words(RESENT | 2n))
  t.match(scene.asked(), [{ opcode: number('STATFS') }, { opcode: number('INTERRUPT'), unique: 3n, body: words(2n) }])
  scene.say(3n, -11)
  t.match(scene.told(), [{ unique: RESENT | 3n, error: -11 }])
  scene.say(2n, -EINTR)
  t.match(scene.told(), [{ unique: RESENT | 2n, error: -EINTR }])
})

t.test('a notification is about the kernel’s nodeids, and about none that the kernel has not', async (t) => {
  const scene = new Scene(t)
  const node = scene.found(2n, 7n)
  scene.adopt(3n, 7n)
  const INVAL_INODE = 2
  scene.say(0n, INVAL_INODE, words(7n, 0n, 0n))
  t.same(scene.notifications.map((bytes) => bytes.readBigUInt64LE(16)).toSorted(), [3n, node])
  scene.say(0n, INVAL_INODE, words(8n, 0n, 0n))
  scene.say(0n, 7)
  scene.say(0n, 8)
  t.equal(scene.notifications.length, 2, 'RESEND and INC_EPOCH are not the daemon’s')
})

t.test('what makes no sense is dropped, refused or told once', async (t) => {
  const scene = new Scene(t)
  scene.ask(4000, 2n, 1n, words(1n))
  scene.ask(4000, 4n, 1n, words(1n))
  t.match(scene.told(), [{ error: -ENOSYS }, { error: -ENOSYS }])
  scene.say(1000n, 0)
  scene.sayRaw(Buffer.from('nonsense'))
  scene.ask('LOOKUP', 6n, 1n, name('f'))
  scene.say(6n, 0, Buffer.alloc(3))
  t.match(scene.told(), [{ unique: 6n, error: -EIO }], 'a reply that is too short fails its request')
  t.equal(scene.translator.tally.dropped, 3)
})

t.test('a path is asked for only while nothing is renamed, and meanwhile nothing else goes on', async (t) => {
  const scene = new Scene(t)
  scene.willFindNone(2)
  scene.ask('RENAME', 2n, 1n, words(1n), name('a'), name('b'))
  scene.ask('GETATTR', 4n, 99n, halves(0, 0, 0, 0))
  scene.stale.askDelayed()
  t.equal(scene.stale.hasReady, false, 'a rename is under way')
  scene.ask('RENAME', 6n, 1n, words(1n), name('b'), name('c'))
  const renames = (): Asked[] => scene.asked().filter(({ opcode }) => opcode === number('RENAME'))
  t.match(renames(), [{ unique: 2n }], 'the next one waits')
  scene.say(2n, 0)
  scene.willFindNone(2)
  scene.stale.askDelayed()
  while (scene.stale.hasReady) scene.stale.redo()
  t.match(scene.told(), [
    { unique: 2n, error: 0 },
    { unique: 4n, error: -ESTALE },
  ])
  t.match(renames(), [{ unique: 6n }])
})

t.test('a handle of an earlier life that was opened again in two ways is closed in both', async (t) => {
  const scene = new Scene(t)
  scene.adopt(3n, 7n)
  scene.willSay(0, words(0x98n, 0n))
  scene.ask('FSYNC', 2n, 3n, words(5n), halves(0, 0))
  scene.willSay(0, words(0x99n, 0n))
  scene.ask('WRITE', 4n, 3n, words(5n, 0n), halves(1, 0), words(0n), halves(1 | O_APPEND, 0), Buffer.from('x'))
  scene.asked()
  scene.ask('RELEASE', 6n, 3n, words(5n, 0n, 0n))
  scene.willSay(0)
  scene.translator.reopening.doLate()
  const released = scene.asked().map(({ opcode, body }) => [opcode, body.readBigUInt64LE(0)])
  t.same(
    released.toSorted((a, b) => Number(a[1]) - Number(b[1])),
    [
      [number('RELEASE'), 0x98n],
      [number('RELEASE'), 0x99n],
    ],
  )
  t.equal(scene.translator.handles.live, 0)
  t.equal(scene.translator.handles.staleCount, 0)
})
