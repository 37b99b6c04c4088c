// The pump, as machine code and as system calls one by one: both have to do the same.
import t, { type Test } from 'tap'
import { functionAddress } from '../../../src/elf/executable.js'
import { closeFd } from '../../../src/native/descriptor.js'
import { rawSyscall } from '../../../src/native/ffi.js'
import { addStatusFlags } from '../../../src/native/files.js'
import { allocate } from '../../../src/native/memory.js'
import { openFlags } from '../../../src/native/open-flags.js'
import { pollEvents } from '../../../src/native/poll.js'
import { receiveNow, sendMessage, socketpair } from '../../../src/native/socket.js'
import type { Fd } from '../../../src/native/types.js'
import { outcomes, Pump } from '../../../src/relay/wire/pump.js'

const ENOTCONN = 107
const EPIPE = 32
const ROUNDS = 3
const address = functionAddress('pump')

class Scene {
  readonly pump: Pump
  readonly theirs: Record<'channel' | 'socket', Fd>
  private readonly ours: Record<'channel' | 'socket', Fd>
  private readonly blocks = { request: allocate(4096), reply: allocate(4096), out: allocate(64) }
  private readonly event = rawSyscall('eventfd2', 0, 0o4000) as Fd

  constructor(t: Test, code: number | null) {
    const [[channel, kernel], [socket, daemon]] = [socketpair('seqpacket'), socketpair('seqpacket')]
    this.ours = { channel, socket }
    this.theirs = { channel: kernel, socket: daemon }
    t.teardown(() => {
      for (const fd of [channel, kernel, socket, daemon, this.event]) rawSyscall('close', fd)
    })
    for (const fd of [channel, socket]) addStatusFlags(fd, openFlags.O_NONBLOCK)
    const { request, reply } = this.blocks
    this.pump = new Pump(code)
    for (const [word, value] of [
      ['out', -1],
      ['socket', socket],
      ['channel', channel],
      ['replyAddress', reply.address],
      ['replySize', reply.bytes.length],
      ['requestAddress', request.address],
      ['requestSize', request.bytes.length],
    ] as const)
      this.pump.set(word, value)
    for (const [i, fd] of [channel, socket, this.event, -1].entries()) this.pump.watch(i, fd, pollEvents.POLLIN)
  }

  run(): number {
    this.pump.set('rounds', ROUNDS)
    return this.pump.run()
  }

  kernel(text: string): void {
    sendMessage(this.theirs.channel, Buffer.from(text))
  }

  daemon(text: string): void {
    sendMessage(this.theirs.socket, Buffer.from(text))
  }

  other(): void {
    rawSyscall('write', this.event, Buffer.from(BigUint64Array.of(1n).buffer), 8)
  }

  write(to: 'socket' | 'channel', text: string): void {
    const { bytes, address } = this.blocks.out
    this.pump.set('out', this.ours[to])
    this.pump.set('outAddress', address)
    this.pump.set('outLength', bytes.write(text))
    this.pump.set('outIsSocket', to === 'socket' ? 1 : 0)
  }

  taken(from: 'socket' | 'channel'): string[] {
    const text = receiveNow(this.theirs[from])?.bytes.toString()
    return text === undefined ? [] : [text]
  }

  text(block: 'request' | 'reply'): string {
    return this.blocks[block].bytes.toString('utf8', 0, this.pump.get('length'))
  }
}

for (const [kind, code] of [
  ['machine code', address],
  ['system calls', null],
] as const) {
  t.test(kind, { skip: kind === 'machine code' && code === null && 'executable memory is forbidden' }, async (t) => {
    t.test('brings what is there, the daemon first', async (t) => {
      const scene = new Scene(t, code)
      scene.kernel('a request')
      scene.daemon('a reply')
      t.equal(scene.run(), outcomes.reply)
      t.equal(scene.text('reply'), 'a reply')
      t.equal(scene.pump.get('rounds'), ROUNDS, 'it was there at once')
      t.equal(scene.run(), outcomes.request)
      t.equal(scene.text('request'), 'a request')
    })

    t.test('writes first what is to be written, once', async (t) => {
      const scene = new Scene(t, code)
      for (const to of ['socket', 'channel'] as const) {
        scene.write(to, `to the ${to}`)
        scene.kernel('next')
        t.equal(scene.run(), outcomes.request)
        t.equal(scene.pump.get('out'), -1)
        t.same(scene.taken(to), [`to the ${to}`])
      }
    })

    t.test('says what could not be written, and reads nothing then', async (t) => {
      const scene = new Scene(t, code)
      scene.kernel('next')
      scene.write('socket', 'lost')
      closeFd(scene.theirs.socket)
      t.equal(scene.run(), outcomes.refused)
      t.ok([-EPIPE, -ENOTCONN].includes(scene.pump.get('length')))
      t.equal(scene.pump.get('out'), -1)
    })

    t.test('sleeps until something else is there', async (t) => {
      const scene = new Scene(t, code)
      scene.other()
      t.equal(scene.run(), outcomes.woken)
      t.equal(scene.pump.found(2), pollEvents.POLLIN)
      t.equal(scene.pump.found(3), 0)
    })

    t.test('leaves alone an end that does not count', async (t) => {
      const scene = new Scene(t, code)
      scene.kernel('a request')
      scene.other()
      scene.pump.set('channel', -1)
      scene.pump.watch(0, -1, 0)
      t.equal(scene.run(), outcomes.woken)
    })

    t.test('tells of a closed end', async (t) => {
      const scene = new Scene(t, code)
      closeFd(scene.theirs.socket)
      t.equal(scene.run(), outcomes.reply)
      t.equal(scene.pump.get('length'), 0)
    })
  })
}
