// Names that a daemon gave to unlinked open files: none is left over, whichever life dies of what.
import t from 'tap'
import { opcodes } from '../../src/fuse/opcodes.js'
import { Belongings } from '../../src/relay/find/belongings.js'
import { KeptOpen } from '../../src/relay/find/kept-open.js'
import { Memory } from '../../src/relay/memory.js'
import type { Translator } from '../../src/relay/translate/translator.js'
import { withResolver } from './played-resolver.js'
import { entry, halves, name, type Scene, words } from './scene.js'

const number = (opcode: keyof typeof opcodes): number => opcodes[opcode].number
const ESTALE = 116
const INO = 77n
const HIDDEN = '.fuse_hidden0000000300000001'
const release = words(7n, 0n, 0n)
const dirent = Buffer.concat([words(1n, 1n), halves(HIDDEN.length, 8), Buffer.from(HIDDEN.padEnd(32, '\0'))])

t.test('the last close of a file that a life without a relay has hidden takes its name with it', async (t) => {
  const { scene, resolver } = withResolver(t)
  scene.ask('FLUSH', 2n, 3n, release)
  t.equal(resolver.answer('/mnt/f (deleted)', { ino: INO, links: 0 }), 'RESOLVE')
  t.same(scene.told(), [])
  scene.stale.askDelayed()
  // OPENDIR, two READDIRs, RELEASEDIR, and the name.
  scene.willSay(0, words(0x99n, 0n))
  scene.willSay(0, dirent)
  scene.willSay(0)
  scene.willSay(0)
  scene.willSay(0, entry(9n, { ino: INO }))
  t.equal(resolver.answer('/mnt/f (deleted)', { ino: INO, links: 0 }), 'RESOLVE')
  resolver.refuse(ESTALE)
  scene.asked()
  scene.stale.redo()
  t.match(scene.told(), [{ unique: 2n, error: 0 }])
  t.same(scene.asked(), [], 'the daemon has not opened it')
  scene.willSay(0)
  scene.ask('FORGET', 0n, 3n, words(1n))
  t.match(scene.asked()[0], { opcode: number('UNLINK'), node: 1n, body: name(HIDDEN) })
})

t.test(
  'where the kernel has forgotten the folder, the hidden name is looked for in those that are in use',
  async (t) => {
    for (const ino of [INO, INO + 1n]) {
      const { scene, resolver } = withResolver(t)
      scene.ask('RELEASE', 2n, 3n, release)
      scene.willSay(0, words(0x99n, 0n))
      scene.willSay(0, dirent)
      scene.willSay(0)
      scene.willSay(0)
      scene.willSay(0, entry(9n, { ino }))
      if (ino === INO) scene.willSay(0)
      resolver.answer('/', { ino: INO, links: 0 })
      t.match(scene.told(), [{ unique: 2n, error: 0 }])
      const removed = scene.asked().filter(({ opcode }) => opcode === number('UNLINK'))
      t.match(removed, ino === INO ? [{ node: 1n, body: name(HIDDEN) }] : [])
    }
  },
)

t.test('the last close of any other file is answered without asking the daemon', async (t) => {
  for (const [path, links] of [
    ['/mnt/f', 1],
    ['/mnt/f (deleted)', 1],
  ] as const) {
    const { scene, resolver } = withResolver(t)
    scene.ask('RELEASE', 2n, 3n, release)
    resolver.answer(path, { ino: INO, links })
    t.match(scene.told(), [{ unique: 2n, error: 0 }])
    t.same([scene.asked(), scene.stale.unresolved], [[], 0])
  }
})

/** What a life has whose daemon dies of whatever it is asked for. */
const dying = {
  daemon: {
    ask: () => {
      throw new Error('it died')
    },
  },
  nodes: { ofKernel: () => -1 },
  answers: { forgetLater: () => {} },
} as unknown as Translator

t.test('what a life dies of is removed in the next one', async (t) => {
  const memory = new Memory()
  const keptOpen = new KeptOpen(memory.leavings)
  const belongings = new Belongings(memory)
  belongings.addHidden('0:3', [Buffer.from(HIDDEN)])
  const life = { ...dying, keptOpen } as unknown as Translator
  t.throws(() => belongings.left(life, 3, 0), /it died/)
  const { scene, resolver } = withResolver(t, memory)
  scene.translator.isReserved = true
  scene.willSay(0)
  scene.stale.begin([], () => {})
  scene.stale.gathered()
  resolver.answer('/')
  t.match(scene.asked(), [{ opcode: number('UNLINK'), node: 1n, body: name(HIDDEN) }])
  t.equal(memory.hidden.size, 0)
})

t.test('what is kept open is closed as soon as the kernel drops it, though it may be told it once more', async (t) => {
  const { scene } = withResolver(t)
  const { translator } = scene
  keptOpen(scene)
  // This life has given it out once, earlier ones twice.
  scene.ask('LOOKUP', 4n, 1n, name('g'))
  scene.say(4n, 0, entry(0x55n))
  scene.asked()
  scene.willSay(0)
  scene.ask('FORGET', 0n, 3n, words(3n))
  t.ok(translator.gone.isDue, 'whether it is gone has to be asked')
  t.match(scene.asked(), [{ opcode: number('RELEASE'), node: 0x55n, body: words(0x99n, 0n, 0n) }, {}])
})

t.test('what is kept open is a leaving until it is closed', async (t) => {
  const { scene } = withResolver(t)
  const { translator, stale } = scene
  const { leavings } = stale.memory
  keptOpen(scene)
  t.throws(() => translator.keptOpen.close(dying.daemon, 3, 0), /it died/)
  t.equal(leavings.size, 1)
})

/** A file that is open since an earlier life, 3 to the kernel, has lost its name. */
function keptOpen(scene: Scene): void {
  scene.adopt(3n, 0x55n)
  scene.translator.keptOpen.opened(3, 0)
  // The name, GETATTR, OPEN.
  scene.willSay(0, entry(0x55n))
  const attributes = Buffer.alloc(104)
  attributes.writeBigUInt64LE(INO, 16)
  attributes.writeUInt32LE(0o100644, 16 + 60)
  scene.willSay(0, attributes)
  scene.willSay(0, words(0x99n, 0n))
  scene.ask('UNLINK', 2n, 1n, name('f'))
  t.match(scene.asked().slice(-2), [{ opcode: number('OPEN') }, { opcode: number('UNLINK') }])
  scene.willForget()
  scene.say(2n, 0)
  scene.translator.doLate()
  scene.asked()
}
