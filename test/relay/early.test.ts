// What is served while it is still looked for what applications hold on to.
import t from 'tap'
import { opcodes } from '../../src/fuse/opcodes.js'
import { rules } from '../../src/relay/translate/rules.js'
import { shapeOf } from '../../src/relay/translate/shapes.js'
import { withResolver } from './played-resolver.js'
import { entry, halves, name, RESENT, words } from './scene.js'

const number = (opcode: keyof typeof opcodes): number => opcodes[opcode].number
const read = [words(7n, 0n), halves(10, 0), words(0n), halves(0, 0)]
const EACCES = 13
const ESTALE = 116

/** A life that has just begun: the resolver has the root, what was sent again has been read, the scan goes on. */
function begun(t: Parameters<typeof withResolver>[0]) {
  const { scene, resolver } = withResolver(t)
  let isServing = false
  scene.stale.line.isOpen = false
  scene.translator.isReserved = true
  scene.stale.begin(null, () => {
    isServing = true
  })
  return { scene, resolver, isServing: () => isServing }
}

t.test('nothing that goes on early gives a nodeid or takes a name', async (t) => {
  for (const [opcode, rule] of Object.entries(rules)) {
    if (!rule.early) continue
    const shape = shapeOf(number(opcode as keyof typeof opcodes))
    t.equal(shape.outNode, 0, opcode)
    t.not(shape.dirents, 'fuse_direntplus', opcode)
    t.notOk(shape.givesName || shape.nodes.length, opcode)
  }
})

t.test('no file is opened early: it would be taken for one that is open since an earlier life', async (t) => {
  for (const opcode of ['OPEN', 'CREATE'] as const) t.notOk(rules[opcode]?.early, opcode)
})

t.test('what is about the root, or about a file that can be found, does not wait; a name does', async (t) => {
  const { scene, resolver, isServing } = begun(t)
  scene.ask('LOOKUP', RESENT | 8n, 1n, name('b'))
  t.same(scene.asked(), [], 'more may have been sent again')
  // The first that was not sent again comes after all that was.
  scene.ask('STATFS', 2n, 1n)
  t.match(scene.asked(), [{ opcode: number('STATFS'), unique: 2n }])
  scene.ask('READ', 4n, 99n, ...read)
  scene.ask('LOOKUP', 6n, 1n, name('a'))
  scene.stale.askDelayed()
  t.same(scene.asked(), [])
  t.equal(resolver.answer('/mnt'), 'OPEN', 'paths can be asked for when the root is open')
  scene.stale.askDelayed()
  // The file is looked up and opened, before anybody has said that it is open.
  scene.willSay(0, entry(8n))
  t.equal(resolver.answer('/mnt/f'), 'RESOLVE')
  resolver.refuse(ESTALE)
  scene.asked()
  scene.willSay(0, words(0x50n, 0n))
  scene.stale.redo()
  t.match(scene.asked().at(-1), { opcode: number('READ'), unique: 4n, node: 8n })
  scene.ask('GETATTR', 10n, 99n, words(0n, 0n))
  t.match(scene.asked(), [{ opcode: number('GETATTR'), node: 8n }], 'later ones do not wait either')
  t.notOk(isServing())
  t.notOk(scene.stale.hasReady, 'the name waits')
  scene.stale.know([{ low: 99, high: 0, generation: 0, path: '/mnt/f', isOpen: true }])
  t.ok(isServing())
  t.equal(resolver.question(), undefined, 'what is known is not asked for again')
  scene.stale.release()
  scene.translator.isReserved = false
  scene.stale.redo()
  scene.stale.redo()
  t.match(scene.asked(), [
    { opcode: number('LOOKUP'), unique: 8n, node: 1n },
    { opcode: number('LOOKUP'), unique: 6n, node: 1n },
  ])
})

t.test('what is not found by the generations that are known is looked for again when more are', async (t) => {
  const { scene, resolver, isServing } = begun(t)
  scene.ask('STATFS', 2n, 1n)
  scene.asked()
  scene.ask('READ', 4n, 99n, ...read)
  resolver.answer('/mnt')
  scene.stale.askDelayed()
  while (resolver.refuse(ESTALE)) scene.stale.askDelayed()
  t.same(scene.told(), [], 'nobody is told that the file is gone')
  scene.stale.know([{ low: 99, high: 0, generation: 77, path: null }])
  t.notOk(isServing())
  // By 0 once more, and then by the one that the scan has brought.
  resolver.refuse(ESTALE)
  scene.willSay(0, entry(8n))
  t.equal(resolver.answer('/mnt/f'), 'RESOLVE')
  scene.asked()
  scene.willSay(0, words(0x50n, 0n))
  while (scene.stale.hasReady) scene.stale.redo()
  t.match(scene.asked().at(-1), { opcode: number('READ'), unique: 4n, node: 8n })
})

t.test('without a resolver, what is asked for early waits for the path that the scan brings', async (t) => {
  const { scene, resolver, isServing } = begun(t)
  scene.ask('STATFS', 2n, 1n)
  scene.asked()
  scene.ask('READ', 4n, 99n, ...read)
  scene.ask('READ', 6n, 98n, ...read)
  t.ok(resolver.refuse(EACCES), 'the root can’t be opened')
  scene.stale.askDelayed()
  t.notOk(scene.stale.hasReady, 'nobody is told that the file is gone')
  scene.willSay(0, entry(8n))
  scene.stale.know([{ low: 99, high: 0, generation: 0, path: '/mnt/f' }])
  t.match(scene.asked(), [{ opcode: number('LOOKUP') }])
  t.ok(isServing())
  scene.translator.isReserved = false
  scene.willSay(0, words(0x50n, 0n))
  while (scene.stale.hasReady) scene.stale.redo()
  t.match(scene.asked().at(-1), { opcode: number('READ'), unique: 4n, node: 8n })
  t.match(scene.told(), [{ unique: 6n, error: -ESTALE }], 'what is not pinned can’t be found')
})

t.test('while something is to be moved, nothing goes on early', async (t) => {
  const { scene, resolver } = begun(t)
  scene.ask('RENAME', RESENT | 2n, 1n, words(1n), name('a'), name('b'))
  scene.ask('READ', 4n, 99n, ...read)
  resolver.answer('/mnt')
  scene.stale.gathered()
  scene.stale.askDelayed()
  t.notOk(scene.stale.hasReady)
  scene.ask('STATFS', 6n, 1n)
  t.same(scene.asked(), [])
  t.equal(resolver.question(), undefined, 'nor is anything believed that the kernel says of names')
})
