// Names of files in use, looked up many at a time.
import t from 'tap'
import { opcodes } from '../../../src/fuse/opcodes.js'
import { entry, halves, Scene } from '../scene.js'

const ENOENT = 2
const EIO = 5
const folder = (id: bigint): Buffer => entry(id, { mode: 0o040755 })
const path = (text: string): Buffer[] => text.split('/').map((name) => Buffer.from(name))
const plan = (paths: Record<string, string>): Map<string, Buffer[]> =>
  new Map(Object.entries(paths).map(([key, text]) => [key, path(text)]))
const lookups = (scene: Scene): [bigint, string][] =>
  scene
    .asked()
    .filter(({ opcode }) => opcode === opcodes.LOOKUP.number)
    .map(({ node, body }) => [node, body.toString('utf8', 0, body.length - 1)])

t.test('all that is planned is looked up level by level, and nobody has to ask again', async (t) => {
  const scene = new Scene(t)
  const { ahead } = scene.translator
  ahead.plan(plan({ x: 'a/f', y: 'a/g', z: 'b/c/d' }))
  ahead.prepare('unknown')
  t.same(lookups(scene), [], 'what is not planned is no reason')
  // First each name once, then those again that are asked for again.
  for (const id of [10n, 20n]) scene.willSay(0, folder(id))
  for (const id of [10n, 10n, 20n, 20n]) scene.willSay(0, folder(id))
  scene.willSay(0, entry(11n))
  scene.willSay(-ENOENT)
  scene.willSay(-EIO)
  ahead.prepare('y')
  t.same(lookups(scene), [
    [1n, 'a'],
    [1n, 'b'],
    [1n, 'a'],
    [1n, 'a'],
    [1n, 'b'],
    [1n, 'b'],
    [10n, 'g'],
    [10n, 'f'],
    [20n, 'c'],
  ])
  const [a, b] = [ahead.lookup(1, 0, Buffer.from('a')), ahead.lookup(1, 0, Buffer.from('b'))]
  t.match([a, b], [{ low: 10 }, { low: 20 }])
  t.match(ahead.lookup(10, 0, Buffer.from('g')), { low: 11 })
  t.equal(ahead.lookup(10, 0, Buffer.from('f')), null, 'a name that is not there')
  t.equal(ahead.lookup(20, 0, Buffer.from('c')), -EIO)
  t.same(lookups(scene), [], 'the daemon is not asked again')
  ahead.prepare('x')
  t.same(lookups(scene), [], 'nor is anything planned twice')
  scene.willSay(0, entry(12n))
  t.match(ahead.lookup(10, 0, Buffer.from('g')), { low: 12 }, 'what has been taken is asked for anew')
})

t.test('no name is looked for in what is no folder', async (t) => {
  const scene = new Scene(t)
  const { ahead } = scene.translator
  ahead.plan(plan({ x: 'a/f' }))
  // A folder and a file have been exchanged, and the path is of before that.
  for (const id of [10n, 10n]) scene.willSay(0, entry(id))
  ahead.prepare('x')
  t.same(lookups(scene), [
    [1n, 'a'],
    [1n, 'a'],
  ])
})

t.test('what nobody has taken is forgotten, a folder after what is in it, and not used any more', async (t) => {
  const scene = new Scene(t)
  const { ahead } = scene.translator
  ahead.plan(plan({ x: 'a/f', y: 'a/g' }))
  for (const id of [10n, 10n, 10n]) scene.willSay(0, folder(id))
  for (const id of [11n, 12n]) scene.willSay(0, entry(id))
  ahead.prepare('x')
  ahead.lookup(1, 0, Buffer.from('a'))
  scene.asked()
  for (let i = 0; i < 4; i++) scene.willForget()
  ahead.plan(plan({ z: 'a/h' }))
  ahead.drop()
  t.same(
    scene.asked().map(({ opcode, node, body }) => [opcode, node, body]),
    [12n, 11n, 10n, 10n].map((node) => [opcodes.FORGET.number, node, halves(1, 0)]),
  )
  ahead.prepare('z')
  t.same(scene.asked(), [], 'nothing is planned any more')
  scene.willSay(0, entry(13n))
  t.match(ahead.lookup(1, 0, Buffer.from('a')), { low: 13 })
})

t.test('a life that begins looks up what is in use ahead', async (t) => {
  const scene = new Scene(t)
  let isServing = false
  scene.stale.begin(null, () => {
    isServing = true
  })
  scene.stale.gathered()
  for (const id of [10n, 10n, 10n]) scene.willSay(0, folder(id))
  for (const id of [11n, 12n]) scene.willSay(0, entry(id))
  scene.stale.know(
    ['f', 'g'].map((name, i) => ({ low: 98 + i, high: 0, generation: 0, path: `/mnt/a/${name}`, isOpen: true })),
  )
  t.ok(isServing)
  const asked = scene.asked()
  t.same(
    asked.map(({ opcode, node }) => [opcode, node]),
    [
      ...[1n, 1n, 1n, 10n, 10n].map((node) => [opcodes.LOOKUP.number, node]),
      // The folder above would be asked for by itself if there were a resolver.
      [opcodes.FORGET.number, 10n],
    ],
  )
  for (const [kernel, daemon] of [
    [98n, 11n],
    [99n, 12n],
  ] as const) {
    scene.ask('GETATTR', 2n, kernel, halves(0, 0, 0, 0))
    t.match(scene.asked(), [{ node: daemon }])
  }
})

t.test('many names at once, and what else the daemon says meanwhile goes its way', async (t) => {
  const scene = new Scene(t)
  const count = 200
  scene.ask('STATFS', 2n, 1n)
  scene.asked()
  scene.queue(2n, -EIO)
  for (let i = 0; i < count; i++) scene.willSay(0, entry(BigInt(100 + i)))
  const names = Array.from({ length: count }, (_, i) => ({ low: 1, high: 0, name: Buffer.from(`${i}`) }))
  t.same(
    scene.translator.daemon.lookupAll(names).map((found) => (typeof found === 'object' ? found?.low : found)),
    names.map((_, i) => 100 + i),
  )
  t.match(scene.told(), [{ unique: 2n, error: -EIO }])
})
