// When the kernel may be given an id of the daemon's own: only if it holds that number for nothing else, whatever comes in
// between. The test plays kernel, daemon and the companion that asks the kernel.
import t, { type Test } from 'tap'
import { opcodes } from '../../../src/fuse/opcodes.js'
import { PlayedProber } from '../played-prober.js'
import { entry, halves, LIFE, name, Scene, words } from '../scene.js'

const open = (handle: bigint): Buffer => words(handle, 0n)
const sizeOfEntry = entry(0n).length
const number = (opcode: keyof typeof opcodes): number => opcodes[opcode].number

class Plain extends Scene {
  private readonly played: PlayedProber

  constructor(t: Test) {
    super(t)
    this.played = new PlayedProber(t)
    this.plainIds.prober = this.prober
    this.plainIds.isOn = true
    this.plainIds.keepMs = 60_000
  }

  get prober() {
    return this.played.prober
  }

  get plainIds() {
    return this.translator.plainIds
  }

  /** The ids that the kernel is asked for; it answers that it holds these. */
  probed(...held: bigint[]): bigint[] {
    return this.played.probed(...held)
  }

  /** What the kernel is told for the file that the daemon knows as this. */
  nodeOf(unique: bigint, daemon: bigint): bigint {
    const node = this.found(unique, daemon)
    if (node !== 0n) return node
    this.probed()
    this.plainIds.proceed(true)
    return this.told()[0]?.body.readBigUInt64LE(0) ?? 0n
  }
}

t.test('an id is the daemon’s own once the kernel holds none and has told all that it forgot', (t) => {
  const scene = new Plain(t)
  t.equal(scene.found(2n, 0x77n), 0n, 'the answer is kept')
  scene.plainIds.proceed(true)
  t.same(scene.told(), [], 'until the kernel has said')
  t.same(scene.probed(), [0x77n])
  scene.plainIds.proceed(false)
  t.same(scene.told(), [], 'and until the channel is empty')
  scene.plainIds.proceed(true)
  t.match(scene.told()[0]?.body.readBigUInt64LE(0), 0x77n)
  t.equal(scene.translator.nodes.foreign, 0)
  t.equal(scene.found(4n, 0x77n), 0x77n, 'it is known from now on')
  scene.ask('FORGET', 0n, 0x77n, words(2n))
  t.match(scene.asked(), [{ opcode: number('FORGET'), node: 0x77n, body: words(2n) }])
  t.equal(scene.found(6n, 0x77n), 0x77n, 'also when it was forgotten: what comes after is another of this life')
  t.end()
})

t.test('what the kernel may hold for another file is never given to it', (t) => {
  const scene = new Plain(t)
  scene.found(2n, 0x77n)
  scene.probed(0x77n)
  scene.plainIds.proceed(true)
  t.equal((scene.told()[0]?.body.readBigUInt64LE(0) ?? 0n) >> 48n, LIFE, 'it holds one')
  scene.adopt(0x88n, 0x99n)
  t.equal(scene.found(4n, 0x88n) >> 48n, LIFE, 'that of an earlier life is known by that number')
  t.same(scene.probed(), [], 'and nobody is asked')
  scene.plainIds.keepMs = 0
  scene.found(6n, 0xaaan)
  scene.plainIds.proceed(true)
  t.equal((scene.told()[0]?.body.readBigUInt64LE(0) ?? 0n) >> 48n, LIFE, 'it is not known in time')
  t.equal(scene.found(8n, 0xbbbn) >> 48n, LIFE, 'so nothing else is kept for that')
  scene.probed()
  scene.plainIds.proceed(true)
  scene.plainIds.keepMs = 60_000
  scene.prober.close()
  t.equal(scene.found(10n, 0xcccn) >> 48n, LIFE, 'nobody can be asked')
  t.end()
})

t.test('a file has one id until the kernel has forgotten it', (t) => {
  const scene = new Plain(t)
  scene.plainIds.isOn = false
  const foreign = scene.found(2n, 0x77n)
  t.equal(foreign >> 48n, LIFE)
  scene.plainIds.isOn = true
  scene.translator.nodes.vacant.set(0x77, 0, 0)
  t.equal(scene.found(4n, 0x77n), foreign)
  scene.ask('FORGET', 0n, foreign, words(1n))
  t.equal(scene.found(6n, 0x77n), foreign, 'one lookup counts still')
  scene.ask('FORGET', 0n, foreign, words(2n))
  t.equal(scene.found(8n, 0x77n), 0x77n)
  scene.adopt(0x5n, 0x66n)
  scene.translator.nodes.vacant.set(0x66, 0, 0)
  t.equal(scene.found(10n, 0x66n), 0x5n, 'one of an earlier life as well')
  t.end()
})

t.test('handles are the daemon’s own on a plain node, and there alone', (t) => {
  const scene = new Plain(t)
  const plain = scene.nodeOf(2n, 0x77n)
  scene.adopt(0x5n, 0x66n)
  const opened = (unique: bigint, node: bigint): bigint => {
    scene.ask('OPEN', unique, node, halves(0, 0))
    scene.asked()
    scene.say(unique, 0, open(3n))
    return scene.told()[0]?.body.readBigUInt64LE(0) ?? 0n
  }
  t.equal(opened(4n, plain), 3n)
  t.equal(scene.translator.handles.live, 0, 'nothing is kept of it')
  scene.ask('READ', 6n, plain, words(3n, 0n), halves(10, 0), words(0n), halves(0, 0))
  t.match(
    scene.asked().map(({ opcode, node, body }) => [opcode, node, body.readBigUInt64LE(0)]),
    [[number('READ'), 0x77n, 3n]],
  )
  t.equal(opened(8n, 0x5n) >> 48n, LIFE, 'on a node of an earlier life there may be one that has its number')
  scene.willSay(0, open(4n))
  scene.ask('READ', 10n, 0x5n, words(3n, 0n), halves(10, 0), words(0n), halves(0, 0))
  t.match(
    scene.asked().map(({ opcode }) => opcode),
    [number('OPEN'), number('READ')],
    'which is opened again',
  )
  t.equal(opened(12n, 1n) >> 48n, LIFE, 'and so on the root')
  t.end()
})

t.test('what the kernel did not take is given back', (t) => {
  const scene = new Plain(t)
  scene.nodeOf(2n, 0x77n)
  scene.asked()
  scene.translator.nodes.vacant.set(0x88, 0, 0)
  scene.ask('CREATE', 4n, 1n, halves(0, 0, 0, 0), name('new'))
  scene.asked()
  scene.say(4n, 0, Buffer.concat([entry(0x88n), open(3n)]))
  t.equal(scene.told()[0]?.body.readBigUInt64LE(sizeOfEntry), 3n)
  scene.translator.unwanted()
  scene.willSay(0)
  scene.translator.reopening.doLate()
  scene.translator.doLate()
  t.same(
    scene.asked().map(({ opcode, node, body }) => [opcode, node, body.readBigUInt64LE(0)]),
    [
      [number('RELEASE'), 0x88n, 3n],
      [number('FORGET'), 0x88n, 1n],
    ],
  )
  const listed = (unique: bigint): Buffer => {
    scene.ask('READDIRPLUS', unique, 0x77n, words(9n, 0n), halves(4096, 0), words(0n), halves(0, 0))
    scene.asked()
    const entries = [0x88n, 0x99n].map((node) =>
      Buffer.concat([entry(node), words(node, 1n), halves(1, 8), name('a'), Buffer.alloc(6)]),
    )
    scene.say(unique, 0, Buffer.concat(entries))
    return Buffer.concat(entries)
  }
  const entries = listed(6n)
  t.same(scene.probed().slice(0, 1), [0x99n], 'a listing is kept as well, for what is not known of it')
  scene.plainIds.proceed(true)
  t.match(scene.told(), [{ unique: 6n, body: entries }])
  scene.translator.unwanted()
  scene.translator.doLate()
  t.same(
    scene
      .asked()
      .map(({ node }) => node)
      .toSorted(),
    [0x88n, 0x99n].toSorted(),
  )
  t.equal(scene.translator.nodes.live, 1)
  t.end()
})

t.test('a plain id has the daemon’s generation, as it will have on the channel', (t) => {
  const scene = new Plain(t)
  scene.translator.nodes.vacant.set(0x77, 0, 0)
  for (const [unique, node, generation] of [
    [2n, 0x77n, 3n],
    [4n, 0x88n, 0n],
  ] as const) {
    if (node !== 0x77n) scene.plainIds.isOn = false
    scene.ask('LOOKUP', unique, 1n, name('f'))
    scene.say(unique, 0, entry(node, { generation: 3n }))
    t.equal(scene.told()[0]?.body.readBigUInt64LE(8), generation)
  }
  t.end()
})

t.test('of a daemon that counts, the next ids are asked for beforehand', (t) => {
  const scene = new Plain(t)
  t.equal(scene.nodeOf(2n, 5n), 5n)
  t.equal(scene.nodeOf(4n, 6n), 6n)
  for (let id = 7n; id < 200n; id++) t.equal(scene.found(2n * id, id), id)
  t.end()
})
