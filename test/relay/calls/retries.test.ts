// A call that has found a folder or a file in one life and again in the next carries two nodeids of the kernel's for it.
import t from 'tap'
import { opcodes } from '../../../src/fuse/opcodes.js'
import { Memory } from '../../../src/relay/memory.js'
import { withResolver } from '../played-resolver.js'
import { entry, halves, name, RESENT, words } from '../scene.js'

const number = (opcode: keyof typeof opcodes): number => opcodes[opcode].number
const EINVAL = 22
const ENOTEMPTY = 39
const ESTALE = 116
const FOLDER = 0o040755

t.test('a rename goes on that knows a folder by the nodeid of an earlier life and by the one of this', async (t) => {
  for (const [what, ino, cached, isFound] of [
    ['the inode number tells it', 77n, { ino: 77n, mode: FOLDER, links: 2 }, true],
    ['the number says nothing, and the path leads to a folder', 9n, { ino: 99n, mode: FOLDER, links: 2 }, true],
    ['it was removed', 9n, { ino: 99n, mode: FOLDER, links: 0 }, false],
    ['another one is in its place', 78n, { ino: 77n, mode: FOLDER, links: 2 }, false],
  ] as const) {
    const { scene, resolver } = withResolver(t)
    scene.ask('LOOKUP', 2n, 1n, name('d'))
    scene.say(2n, 0, entry(5n, { ino, mode: FOLDER }))
    const anew = scene.told()[0]?.body.readBigUInt64LE(0) ?? 0n
    scene.asked()
    scene.ask('RENAME', 4n, 99n, words(anew), name('a'), name('b'))
    scene.stale.askDelayed()
    // OPENDIR of the folder in which a hidden name could be, a folder that is named so, and the folder itself.
    scene.willSay(-2)
    if (cached.links > 0) {
      scene.willSay(-2)
      scene.willSay(0, entry(5n, { ino, mode: FOLDER }))
    }
    t.equal(resolver.answer('/mnt/d (deleted)', cached), 'RESOLVE')
    resolver.refuse(ESTALE)
    scene.asked()
    if (isFound) scene.willFindNone(2)
    scene.stale.redo()
    const renames = scene.asked().filter(({ opcode }) => opcode === number('RENAME'))
    t.match(renames, isFound ? [{ node: 5n, body: Buffer.concat([words(5n), name('a'), name('b')]) }] : [], what)
    t.match(scene.told(), isFound ? [] : [{ unique: 4n, error: -ESTALE }], what)
  }
})

t.test('a call is told once that a file has a new nodeid, and goes on if another death has come between', async (t) => {
  const memory = new Memory()
  for (const life of ['first', 'second']) {
    const { scene, resolver } = withResolver(t, memory)
    scene.ask('LOOKUP', 2n, 1n, name('f'))
    scene.say(2n, 0, entry(5n, { ino: 77n }))
    scene.asked()
    scene.told()
    scene.from(1234)
    scene.ask('OPEN', 4n, 99n, halves(0, 0))
    scene.stale.askDelayed()
    scene.willSay(0, entry(5n, { ino: 77n }))
    if (life === 'first') scene.willForget()
    resolver.answer('/mnt/f', { ino: 77n })
    resolver.refuse(ESTALE)
    scene.asked()
    scene.stale.redo()
    const opened = scene.asked().filter(({ opcode }) => opcode === number('OPEN'))
    t.match(opened, life === 'first' ? [] : [{ node: 5n }], `the ${life} time`)
    t.match(scene.told(), life === 'first' ? [{ unique: 4n, error: -ESTALE }] : [])
  }
})

t.test('a rename to itself is told to look again once, and then that it is done', async (t) => {
  const { scene } = withResolver(t)
  scene.from(1234)
  for (const error of [-ESTALE, 0]) {
    scene.ask('RENAME', 2n, 1n, words(1n), name('a'), name('a'))
    t.match(scene.told(), [{ unique: 2n, error }])
    t.same(scene.asked(), [])
  }
})

t.test(
  'a rename that would put a folder into itself is told what the kernel would say, or to look again',
  async (t) => {
    const outOf = { node: 99n, newDir: 1n, names: ['l', 'd'], errno: ENOTEMPTY }
    const into = { node: 1n, newDir: 99n, names: ['d', 'x'], errno: EINVAL }
    for (const [{ node, newDir, names, errno }, path, id, looked, isResent, told] of [
      [outOf, '/mnt/d (deleted)', 5n, 1, false, -ENOTEMPTY],
      [outOf, '/mnt/d (deleted)', 5n, 1, true, -ENOTEMPTY],
      // Its folder is what has the name, as far as the path goes.
      [outOf, '/mnt/d/e (deleted)', 6n, 1, false, -ESTALE],
      [into, '/mnt/d (deleted)', 5n, 0, false, -EINVAL],
      [into, '/mnt/d/e (deleted)', 6n, 1, false, -ESTALE],
    ] as const) {
      const { scene, resolver } = withResolver(t)
      scene.ask('LOOKUP', 2n, 1n, name('d'))
      scene.say(2n, 0, entry(5n, { mode: FOLDER }))
      scene.adopt(99n, id)
      scene.told()
      scene.asked()
      scene.from(1234)
      const ask = (unique: bigint): void => {
        scene.translator.spanning.meet(1234, true)
        if (isResent) scene.willSay(0, entry(8n))
        scene.ask('RENAME', unique, node, words(newDir), ...names.map(name))
        if (isResent) return
        for (let i = 0; i < looked; i++) scene.willSay(0, entry(8n))
        for (const each of [node, newDir]) resolver.answer(each === 1n ? '/mnt' : path)
        scene.stale.redo()
      }
      const unique = isResent ? RESENT | 4n : 4n
      ask(unique)
      t.match(scene.told(), [{ unique, error: told }], `${names} of ${path}`)
      t.same(
        scene.asked().filter(({ opcode }) => opcode === number('RENAME')),
        [],
      )
      if (told !== -ESTALE) continue
      scene.translator.doLate()
      scene.willForget()
      ask(6n)
      t.match(scene.told(), [{ unique: 6n, error: -errno }], 'it was told to look again before')
    }
  },
)
