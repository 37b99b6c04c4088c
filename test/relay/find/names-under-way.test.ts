// A file whose rename a dead daemon had answered, and whose name the kernel has not moved yet.
import t, { type Test } from 'tap'
import { resolverMessage } from '../../../src/elf/resolver.js'
import { FATTR } from '../../../src/fuse/flags.js'
import { layout } from '../../../src/fuse/layout.js'
import { opcodes } from '../../../src/fuse/opcodes.js'
import { closeFd } from '../../../src/native/descriptor.js'
import { receiveNow, sendMessage, socketpair } from '../../../src/native/socket.js'
import { Prober } from '../../../src/relay/companions/prober.js'
import { type PlayedResolver, withResolver } from '../played-resolver.js'
import { entry, halves, name, type Scene, words } from '../scene.js'

const number = (opcode: keyof typeof opcodes): number => opcodes[opcode].number
const ESTALE = 116
const INO = 77n
const { FATTR_MTIME, FATTR_CTIME, FATTR_FH, FATTR_SIZE } = FATTR
const setattrIn = layout('fuse_setattr_in')

function setattr(valid: number): Buffer {
  const body = Buffer.alloc(setattrIn.$size)
  body.writeUInt32LE(valid, setattrIn.valid.offset)
  body.writeBigUInt64LE(9n, setattrIn.fh.offset)
  body.writeBigUInt64LE(1234n, setattrIn.mtime.offset)
  return body
}

/** Asks for file 99, which is not where the kernel has it. */
function missed(scene: Scene, resolver: PlayedResolver): void {
  scene.stale.askDelayed()
  // The name, and the folder in which a hidden one could be.
  scene.willFindNone(2)
  t.equal(resolver.answer('/mnt/a', { ino: INO }), 'RESOLVE')
  scene.asked()
}

/** A process that writes notifications; `free` says that the folder was free. */
function locked(t: Test, scene: Scene): { free: () => bigint } {
  const [ours, theirs] = socketpair('seqpacket')
  t.teardown(() => [ours, theirs].forEach(closeFd))
  const prober = new Prober(ours)
  t.equal(scene.calls, 1)
  scene.stale.awaited.names.helpedBy(prober)
  return {
    free() {
      const asked = receiveNow(theirs)?.bytes ?? Buffer.alloc(0)
      sendMessage(theirs, asked.subarray(0, resolverMessage.argument))
      prober.receive()
      return asked.readBigUInt64LE(resolverMessage.argument + 16)
    },
  }
}

t.test('times that come before the name are answered at once, and given to the daemon when it has come', async (t) => {
  const { scene, resolver } = withResolver(t)
  scene.ask('SETATTR', 2n, 99n, setattr(FATTR_MTIME | FATTR_CTIME | FATTR_FH))
  missed(scene, resolver)
  const [answer] = scene.told()
  t.match(answer, { unique: 2n, error: 0 })
  const { attr } = layout('fuse_attr_out')
  t.equal(answer?.body.readBigUInt64LE(attr.ino.offset), INO)
  t.equal(answer?.body.readUInt32LE(attr.mode.offset), 0o100644, 'of the same kind, as the kernel has it')
  t.equal(answer?.body.readBigUInt64LE(attr.mtime.offset), 1234n)
  scene.ask('SETATTR', 4n, 99n, setattr(FATTR_MTIME))
  t.match(scene.told(), [{ unique: 4n, error: 0 }])
  scene.ask('SETATTR', 6n, 99n, setattr(FATTR_SIZE))
  t.same(scene.told(), [], 'what else is to be set waits')
  resolver.answer('/d', {}, 50n)
  const folders = locked(t, scene)
  t.equal(folders.free(), 50n)
  resolver.answer('/', {}, 1n)
  t.equal(folders.free(), 1n, 'up to the root')
  t.equal(scene.translator.isReserved, true, 'and nothing is renamed while it is looked for')
  scene.stale.askDelayed()
  scene.willSay(0, entry(8n, { ino: INO }))
  scene.willSay(0, Buffer.alloc(layout('fuse_attr_out').$size))
  t.equal(resolver.answer('/mnt/b', { ino: INO }), 'RESOLVE')
  resolver.refuse(ESTALE)
  scene.stale.redo()
  const [lookup, ...set] = scene.asked()
  t.match(lookup, { opcode: number('LOOKUP'), body: name('b') })
  t.match(
    set.map(({ opcode, node, body }) => [
      opcode,
      node,
      body.readUInt32LE(0),
      body.readBigUInt64LE(setattrIn.fh.offset),
    ]),
    [
      [number('SETATTR'), 8n, FATTR_MTIME, 0n],
      [number('SETATTR'), 8n, FATTR_SIZE, 9n],
    ],
    'the times first',
  )
})

t.test('what the resolver comes to ask about a folder that is looked for does not wait for it', async (t) => {
  const { scene, resolver } = withResolver(t)
  const RESOLVER = 4711
  scene.translator.resolverPid = RESOLVER
  scene.ask('OPENDIR', 2n, 99n, halves(0, 0))
  scene.stale.askDelayed()
  scene.willFindNone(2)
  t.equal(resolver.answer('/mnt/a', { ino: INO, mode: 0o040755 }), 'RESOLVE')
  scene.asked()
  scene.from(RESOLVER)
  // Going up from there, the kernel looks at its permissions.
  scene.ask('GETATTR', 4n, 99n, halves(0, 0), words(0n))
  const [answer] = scene.told()
  t.match(answer, { unique: 4n, error: 0 })
  const { attr } = layout('fuse_attr_out')
  t.equal(answer?.body.readUInt32LE(attr.mode.offset), 0o040755, 'as the kernel has it')
  t.equal(answer?.body.readBigUInt64LE(0), 0n, 'and for now')
  scene.ask('GETATTR', 6n, 98n, halves(0, 0), words(0n))
  t.match(scene.told(), [{ unique: 6n, error: -ESTALE }], 'nothing is known of another one')
})

t.test('the kernel takes nothing up again for the resolver: it would wait for locks of folders', async (t) => {
  const { scene } = withResolver(t)
  const RESOLVER = 4711
  scene.translator.resolverPid = RESOLVER
  scene.adopt(99n, 8n)
  scene.from(RESOLVER)
  for (const dots of ['.', '..']) {
    scene.ask('LOOKUP', 4n, 99n, name(dots))
    t.match(scene.told(), [{ unique: 4n, error: -ESTALE }], dots)
  }
  t.same(scene.asked(), [])
})

t.test('what the kernel was seen not to hold is asked for by no other generation', async (t) => {
  const { scene, resolver } = withResolver(t)
  const RESOLVER = 4711
  scene.translator.resolverPid = RESOLVER
  scene.ask('GETATTR', 2n, 99n, halves(0, 0), words(0n))
  scene.stale.askDelayed()
  scene.from(RESOLVER)
  scene.ask('LOOKUP', 4n, 99n, name('.'))
  t.match(scene.told(), [{ unique: 4n, error: -ESTALE }])
  t.equal(resolver.refuse(ESTALE), 'RESOLVE')
  t.equal(resolver.question(), undefined)
  scene.stale.redo()
  t.match(scene.told(), [{ unique: 2n, error: -ESTALE }])
})

t.test('the last name that this life has taken away is not waited for', async (t) => {
  for (const [links, isAwaited] of [
    [0, false],
    [1, true],
  ] as const) {
    const { scene, resolver } = withResolver(t)
    scene.adopt(99n, 8n)
    scene.stale.doubt({ low: 8, high: 0 })
    scene.ask('SETATTR', 2n, 99n, setattr(FATTR_MTIME))
    scene.stale.askDelayed()
    scene.willFindNone(2)
    resolver.answer('/mnt/a', { ino: INO, links })
    scene.asked()
    t.equal(resolver.question()?.op, isAwaited ? 'PARENT' : undefined)
    if (isAwaited) continue
    scene.stale.redo()
    t.match(scene.asked(), [{ opcode: number('SETATTR'), unique: 2n, node: 8n }], 'the daemon knows what it is')
  }
})

t.test('the times of another file may be of the rename that is waited for', async (t) => {
  for (const [other, goesOn] of [
    [setattr(FATTR_MTIME), true],
    [setattr(FATTR_SIZE), false],
  ] as const) {
    const { scene, resolver } = withResolver(t)
    scene.ask('WRITE', 2n, 99n, words(7n, 0n), halves(1, 0), words(0n), halves(1, 0), Buffer.from('x'))
    scene.ask('SETATTR', 4n, 98n, other)
    missed(scene, resolver)
    resolver.answer('/d', {}, 50n)
    t.equal(scene.stale.hasReady, goesOn)
  }
})

t.test('what is written meanwhile waits for the name', async (t) => {
  for (const isThere of [true, false]) {
    const { scene, resolver } = withResolver(t)
    scene.ask('WRITE', 2n, 99n, words(7n, 0n), halves(1, 0), words(0n), halves(1, 0), Buffer.from('x'))
    missed(scene, resolver)
    resolver.answer('/', {}, 1n)
    const folders = locked(t, scene)
    scene.ask('STATFS', 4n, 1n)
    t.same(scene.asked(), [], 'whoever comes waits')
    missed(scene, resolver)
    scene.stale.redo()
    t.match(scene.asked(), [{ opcode: number('STATFS') }], 'until it has been looked for again')
    folders.free()
    scene.stale.askDelayed()
    if (isThere) {
      scene.willSay(0, entry(8n, { ino: INO }))
      resolver.answer('/mnt/b', { ino: INO })
      resolver.refuse(ESTALE)
      scene.willSay(0, words(3n, 0n))
    } else missed(scene, resolver)
    scene.stale.redo()
    if (isThere) t.match(scene.asked().at(-1), { opcode: number('WRITE'), node: 8n })
    else t.match(scene.told(), [{ unique: 2n, error: -ESTALE }], 'and if it is gone, that is found out')
  }
})

t.test('who comes after the rename is the reason to look for the name', async (t) => {
  const { scene, resolver } = withResolver(t)
  scene.ask('SETATTR', 2n, 99n, setattr(FATTR_MTIME))
  missed(scene, resolver)
  resolver.answer('/d', {}, 50n)
  const folders = locked(t, scene)
  scene.told()
  scene.ask('LOOKUP', 4n, 1n, name('b'))
  t.same(scene.asked(), [])
  scene.stale.askDelayed()
  scene.willSay(0, entry(8n, { ino: INO }))
  scene.willSay(0, Buffer.alloc(layout('fuse_attr_out').$size))
  resolver.answer('/mnt/b', { ino: INO })
  resolver.refuse(ESTALE)
  scene.asked()
  scene.stale.redo()
  scene.asked()
  scene.say(4n, 0, entry(8n, { ino: INO }))
  t.equal(scene.told()[0]?.body.readBigUInt64LE(0), 99n, 'and gets the nodeid that the file had')
  folders.free()
  t.equal(resolver.question(), undefined, 'nobody asks for the folders above any more')
})

t.test(
  'others go on where one of them may have the folder’s lock, and not for anything else about the folder',
  async (t) => {
    for (const [opcode, body, goesOn] of [
      ['MKDIR', [halves(0o755, 0), name('d')], true],
      ['RELEASEDIR', [words(7n, 0n, 0n)], false],
    ] as const) {
      const { scene, resolver } = withResolver(t)
      scene.ask('SETATTR', 2n, 99n, setattr(FATTR_MTIME))
      scene.ask(opcode, 4n, 1n, ...body)
      missed(scene, resolver)
      scene.stale.redo()
      t.same(scene.asked(), [], `${opcode} waits`)
      resolver.answer('/', {}, 1n)
      scene.stale.redo()
      t.equal(scene.translator.isReserved, !goesOn, opcode)
    }
  },
)

t.test('so they do where the lock is waited for by what nobody waits for any more', async (t) => {
  const { scene, resolver } = withResolver(t)
  scene.ask('SETATTR', 2n, 99n, setattr(FATTR_MTIME))
  missed(scene, resolver)
  resolver.answer('/d', {}, 50n)
  locked(t, scene)
  scene.ask('FORGET', 0n, 99n, words(1n))
  t.equal(scene.translator.isReserved, false)
  // Another one is on its way in a folder that is free, and whoever has the lock of the first waits for that.
  scene.adopt(50n, 5n)
  scene.ask('SETATTR', 6n, 98n, setattr(FATTR_MTIME))
  scene.ask('MKDIR', 8n, 50n, halves(0o755, 0), name('d'))
  missed(scene, resolver)
  t.equal(scene.translator.isReserved, true)
  resolver.answer('/e', {}, 60n)
  t.equal(scene.translator.isReserved, false)
})

t.test('what the kernel forgets meanwhile is not waited for', async (t) => {
  const { scene, resolver } = withResolver(t)
  scene.ask('SETATTR', 2n, 99n, setattr(FATTR_MTIME))
  missed(scene, resolver)
  scene.ask('FORGET', 0n, 99n, words(1n))
  t.same([scene.translator.isReserved, scene.stale.unresolved, scene.reports], [false, 0, []])
})

t.test('who links the file has the lock that it would be waited for', async (t) => {
  for (const when of ['before', 'after']) {
    const { scene, resolver } = withResolver(t)
    scene.adopt(50n, 5n)
    const link = (unique: bigint): void => scene.ask('LINK', unique, 50n, words(99n), name('c'))
    if (when === 'before') link(2n)
    else scene.ask('OPEN', 2n, 99n, halves(0, 0))
    missed(scene, resolver)
    resolver.answer('/d', {}, 50n)
    if (when === 'after') link(4n)
    scene.stale.askDelayed()
    t.equal(resolver.question()?.op, 'RESOLVE', `it is asked for at once: ${when}`)
  }
})
