// What a daemon knows by name: what the kernel has looked up in this life is not looked up again, folders stay known as long
// as what is in them, and what has lost a name is found by another.
import t, { type Test } from 'tap'
import { resolverMessage } from '../../../src/elf/resolver.js'
import { opcodes } from '../../../src/fuse/opcodes.js'
import { closeFd } from '../../../src/native/descriptor.js'
import { receiveNow, sendMessage, socketpair } from '../../../src/native/socket.js'
import type { Fd } from '../../../src/native/types.js'
import { KnownNames } from '../../../src/relay/ids/known-names.js'
import { entry, halves, name, Scene, words } from '../scene.js'

const number = (opcode: keyof typeof opcodes): number => opcodes[opcode].number
const getattr = halves(0, 0, 0, 0)
const ESTALE = 116

t.test('what the kernel has looked up or made in this life is taken away without a look', async (t) => {
  const made: [string, Parameters<Scene['ask']>[0], Buffer[]][] = [
    ['looked up', 'LOOKUP', [name('a')]],
    ['created', 'CREATE', [halves(0o102, 0o644, 0, 0), name('a')]],
    ['a folder', 'MKDIR', [halves(0o755, 0), name('a')]],
    ['a link', 'SYMLINK', [name('a'), name('to')]],
  ]
  for (const [what, opcode, body] of made) {
    const scene = new Scene(t)
    scene.ask(opcode, 2n, 1n, ...body)
    scene.say(2n, 0, Buffer.concat([entry(20n), opcode === 'CREATE' ? words(3n, 0n) : Buffer.alloc(0)]))
    scene.willSay(-2)
    scene.ask('RENAME', 4n, 1n, words(1n), name('a'), name('b'))
    scene.say(4n, 0)
    scene.asked()
    scene.ask('UNLINK', 6n, 1n, name('b'))
    t.match(scene.asked(), [{ opcode: number('UNLINK') }], `${what}, and renamed`)
    scene.say(6n, 0)
    scene.willSay(0, entry(21n))
    scene.ask('UNLINK', 8n, 1n, name('b'))
    t.match(scene.asked(), [{ opcode: number('LOOKUP') }, { opcode: number('UNLINK') }], `${what}: only once`)
  }
})

t.test('names of other folders are others, and so are longer ones', async (t) => {
  const keys = new Set<number>()
  const names = Array.from({ length: 300 }, (_, i) => name(`d${i}`))
  for (const folder of [1, 2, 3]) for (const text of names) keys.add(KnownNames.key(folder, 0, text, 0, text.length))
  for (const text of names) keys.add(KnownNames.key(0, 1, text, 0, text.length))
  t.equal(keys.size, 4 * names.length)
  t.notOk(keys.has(0))
})

/** A scene with a resolver; `answer` gives the path to what is asked for. */
function withResolver(t: Test): { scene: Scene; answer: (path: string) => void } {
  const [line, resolver] = socketpair('seqpacket')
  t.teardown(() => [line, resolver].forEach(closeFd))
  const scene = new Scene(t, line)
  scene.stale.line.isOpen = true
  return { scene, answer: (path) => answerOf(resolver, scene, path) }
}

function answerOf(resolver: Fd, scene: Scene, path: string): void {
  const question = receiveNow(resolver)?.bytes
  if (!question) throw new Error('nobody asked')
  const head = Buffer.alloc(resolverMessage.path)
  question.copy(head, 0, 0, resolverMessage.argument)
  head.writeInt32LE(0, resolverMessage.result)
  sendMessage(resolver, Buffer.concat([head, Buffer.from(path)]))
  scene.stale.line.receive()
  // The folder above it, if that is asked for, can't be told.
  const above = receiveNow(resolver)?.bytes.subarray(0, resolverMessage.argument)
  if (!above) return
  above.writeInt32LE(-ESTALE, resolverMessage.result)
  sendMessage(resolver, above)
  scene.stale.line.receive()
}

t.test('the folders above a file of an earlier life are known as long as the file', async (t) => {
  const { scene, answer } = withResolver(t)
  scene.ask('GETATTR', 2n, 99n, getattr)
  scene.stale.askDelayed()
  for (const node of [7n, 8n]) scene.willSay(0, entry(node, { mode: 0o040755 }))
  scene.willSay(0, entry(9n))
  answer('/mnt/above/folder/file')
  t.same(
    scene.asked().map(({ opcode, node }) => [opcode, node]),
    [1n, 7n, 8n].map((node) => [number('LOOKUP'), node]),
    'they are looked up and not forgotten',
  )
  scene.stale.redo()
  t.match(scene.asked(), [{ opcode: number('GETATTR'), node: 9n }])
  scene.say(2n, 0, Buffer.alloc(104))
  scene.ask('FORGET', 0n, 99n, words(1n))
  scene.translator.doLate()
  const forgotten = scene.asked().filter(({ opcode }) => opcode === number('FORGET'))
  t.same(forgotten.map(({ node }) => node).sort(), [7n, 8n, 9n], 'until it is')
})

/** A file of an earlier life loses a name in this one, and is asked for. */
function loseName(scene: Scene): void {
  scene.adopt(3n, 0x55n)
  scene.willSay(0, entry(0x55n))
  scene.ask('UNLINK', 2n, 1n, name('f'))
  scene.willForget()
  scene.say(2n, 0)
  scene.asked()
  scene.ask('GETATTR', 4n, 3n, getattr)
}

t.test(
  'a file of an earlier life that has lost a name is looked up by the name that the kernel has still',
  async (t) => {
    for (const [path, looks] of [
      ['/mnt/other', 1],
      ['/mnt/f (deleted)', 0],
    ] as const) {
      const { scene, answer } = withResolver(t)
      loseName(scene)
      t.same(scene.asked(), [], `${path}: it waits`)
      scene.stale.askDelayed()
      if (looks > 0) scene.willSay(0, entry(0x55n))
      answer(path)
      t.equal(scene.asked().length, looks)
      scene.stale.redo()
      scene.ask('GETATTR', 6n, 3n, getattr)
      const both = [4n, 6n].map((unique) => ({ opcode: number('GETATTR'), node: 0x55n, unique }))
      t.match(scene.asked(), both, 'and then goes on, with all that come after it')
    }
  },
)

t.test('a name that only the kernel has still is looked for no more often than need be', async (t) => {
  const { scene, answer } = withResolver(t)
  loseName(scene)
  let looks = 0
  for (scene.stale.askDelayed(); !scene.asked().some(({ opcode }) => opcode === number('GETATTR')); looks++) {
    // LOOKUP, and OPENDIR of the folder in which a hidden name could be.
    scene.willSay(-2)
    scene.willSay(-2)
    answer('/mnt/f')
    scene.stale.redo()
    scene.stale.askDelayed()
  }
  t.equal(looks, 20)
})

t.test('a file that has a nodeid of this life gets no second one by a name that the kernel has cached', async (t) => {
  const { scene, answer } = withResolver(t)
  scene.ask('LOOKUP', 2n, 1n, name('one'))
  scene.say(2n, 0, entry(5n))
  scene.ask('GETATTR', 4n, 99n, getattr)
  scene.stale.askDelayed()
  scene.willSay(0, entry(5n))
  scene.willForget()
  answer('/mnt/other')
  scene.told()
  scene.stale.redo()
  t.match(scene.told(), [{ unique: 4n, error: -116 }], 'the kernel looks the name up again')
  const read = [words(7n, 0n), halves(100, 0, 0, 0, 0, 0)]
  scene.ask('READ', 6n, 98n, ...read)
  scene.stale.askDelayed()
  scene.willSay(0, entry(5n))
  scene.willSay(0, words(8n, 0n))
  answer('/mnt/other')
  scene.asked()
  scene.stale.redo()
  t.match(scene.asked().at(-1), { opcode: number('READ'), node: 5n }, 'whoever has it open goes on')
})
