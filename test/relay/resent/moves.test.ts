// Where things are that moved before the kernel knows of it, and that it is told only when all that is in use has been found.
import t from 'tap'
import { resolverMessage } from '../../../src/elf/resolver.js'
import { type OpcodeName, opcodes } from '../../../src/fuse/opcodes.js'
import { closeFd } from '../../../src/native/descriptor.js'
import { receiveNow, sendMessage, socketpair } from '../../../src/native/socket.js'
import { Moves } from '../../../src/relay/resent/moves.js'
import { withResolver } from '../played-resolver.js'
import { entry, halves, name, RESENT, Scene, words } from '../scene.js'

const ENOENT = 2
const ESTALE = 116
const folders = new Map([
  [1, '/'],
  [2, '/a'],
  [3, '/a/b'],
  [4, '/c'],
])

function request(opcode: OpcodeName, folder: bigint, ...body: Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(40), ...body])
  bytes.writeUInt32LE(opcodes[opcode].number, 4)
  bytes.writeBigUInt64LE(folder, 16)
  return bytes
}

t.test('what has moved is where it is now, whatever moved above it', async (t) => {
  const renameA = request('RENAME', 1n, words(1n), name('a'), name('z'))
  const renameX = request('RENAME', 3n, words(4n), name('x'), name('y'))
  const exchange = request('RENAME2', 1n, words(1n), halves(2, 0), name('a'), name('c'))
  const cases: [string, Buffer[], string, string][] = [
    ['nothing moved', [], '/a/x', '/a/x'],
    ['renamed', [renameA], '/a', '/z'],
    ['below it', [renameA], '/a/b/x', '/z/b/x'],
    ['only like it', [renameA], '/ab', '/ab'],
    ['replaced', [renameA], '/z', '/z (deleted)'],
    ['to another folder', [renameX], '/a/b/x/1', '/c/y/1'],
    ['and the folder above too', [renameA, renameX], '/a/b/x', '/c/y'],
    [
      'replaced in a folder that moved',
      [request('RENAME', 3n, words(3n), name('x'), name('y')), renameA],
      '/a/b/y',
      '/z/b/y (deleted)',
    ],
    ['in another order', [renameX, renameA], '/a/b/w', '/z/b/w'],
    ['unlinked', [request('UNLINK', 2n, name('x'))], '/a/x', '/a/x (deleted)'],
    ['unlinked in a folder that moved', [request('UNLINK', 2n, name('x')), renameA], '/a/x', '/z/x (deleted)'],
    ['without a name before', [renameA], '/a/x (deleted)', '/z/x (deleted)'],
    ['exchanged', [exchange], '/a/x', '/c/x'],
    ['exchanged, the other way', [exchange], '/c/x', '/a/x'],
  ]
  for (const [what, made, before, after] of cases) {
    const moves = new Moves()
    for (const each of made)
      moves.add(each, (low) => (folders.has(low) ? Buffer.from(folders.get(low) ?? '') : undefined))
    t.equal(moves.present(Buffer.from(before)).toString(), after, what)
  }
})

t.test('the kernel is told of a move when all that is in use has been found, by the paths of before', async (t) => {
  const [line, resolver] = socketpair('seqpacket')
  t.teardown(() => [line, resolver].forEach(closeFd))
  const scene = new Scene(t, line)
  const answer = (result: number, path: string): void => {
    const question = receiveNow(resolver)?.bytes
    if (!question) throw new Error('nobody asked')
    const head = Buffer.alloc(path === '' ? resolverMessage.argument : resolverMessage.path)
    question.copy(head, 0, 0, resolverMessage.argument)
    head.writeInt32LE(result, resolverMessage.result)
    sendMessage(resolver, Buffer.concat([head, Buffer.from(path)]))
    scene.stale.line.receive()
  }
  let isServing = false
  scene.translator.isReserved = true
  scene.stale.begin([{ low: 99, high: 0, generation: 0, path: null }], () => {
    isServing = true
  })
  answer(0, '/')
  scene.ask('RENAME', RESENT | 2n, 1n, words(1n), name('a'), name('b'))
  scene.stale.gathered()
  // Nothing proves that it is the same file while the move is not settled.
  scene.willSay(-ENOENT)
  answer(0, '/a')
  // The names are looked up, the rename fails as it was done before, and the names are looked up again.
  for (const time of [1, 2]) {
    scene.willSay(-ENOENT)
    scene.willSay(0, entry(8n))
    if (time === 1) scene.queue(2n, -ENOENT)
  }
  scene.willForget()
  scene.stale.redo()
  t.same(scene.told(), [], 'the kernel has not been told')
  scene.asked()
  scene.willSay(0, entry(8n))
  answer(0, '/a')
  t.match(scene.asked().at(-1), { opcode: opcodes.LOOKUP.number, body: name('b') }, 'the file has its new name')
  t.notOk(isServing)
  // The folder above it.
  answer(-ESTALE, '')
  t.ok(isServing)
  t.match(scene.told(), [{ unique: RESENT | 2n, error: 0 }])
})

t.test('what is missing is not waited for by the lock of who waits to hear of a move', async (t) => {
  for (const [folder, isFree] of [
    [1n, false],
    [60n, true],
  ] as const) {
    const { scene, resolver } = withResolver(t)
    let isServing = false
    scene.stale.line.isOpen = false
    scene.translator.isReserved = true
    scene.adopt(60n, 6n)
    scene.stale.begin([{ low: 99, high: 0, generation: 0, path: null }], () => {
      isServing = true
    })
    resolver.answer('/')
    scene.ask('RMDIR', RESENT | 2n, folder, name('d'))
    scene.stale.gathered()
    scene.willFindNone(1)
    t.equal(resolver.answer('/f', { ino: 77n }), 'RESOLVE')
    // The name is looked up, it was done before, and the name is looked up again.
    scene.willFindNone(1)
    scene.queue(2n, -ENOENT)
    scene.willFindNone(1)
    scene.stale.redo()
    t.same(scene.told(), [], 'the kernel has not been told')
    scene.asked()
    scene.willFindNone(2)
    t.equal(resolver.answer('/f', { ino: 77n }), 'RESOLVE')
    // The folder above it is the root.
    t.equal(resolver.answer('/', {}, 1n), 'PARENT')
    t.equal(isServing, !isFree)
    t.equal(scene.told().length, isFree ? 0 : 1)
  }
})
