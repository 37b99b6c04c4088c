// The translator between a kernel and a daemon that a test plays: bytes in at one end, bytes out at the other. What the
// translator asks the daemon by itself is answered from a queue, since both run on this thread.
import type { Test } from 'tap'
import { sizeOf } from '../../src/fuse/layout.js'
import { type OpcodeName, opcodes } from '../../src/fuse/opcodes.js'
import { closeFd } from '../../src/native/descriptor.js'
import { rawSyscall } from '../../src/native/ffi.js'
import { setNonblocking } from '../../src/native/files.js'
import { allocate } from '../../src/native/memory.js'
import { sendMessage, socketpair } from '../../src/native/socket.js'
import type { Fd } from '../../src/native/types.js'
import { ResolverLine } from '../../src/relay/companions/resolver-line.js'
import { Stale } from '../../src/relay/find/stale.js'
import { Memory } from '../../src/relay/memory.js'
import { Translator } from '../../src/relay/translate/translator.js'
import { enlarge, Wire } from '../../src/relay/wire/wire.js'

export const LIFE = 2n
export const RESENT = 1n << 63n
const OWN = 1n << 62n
const ENOENT = 2

export interface Asked {
  readonly opcode: number
  readonly unique: bigint
  readonly node: bigint
  /** For whose sake. */
  readonly tid: number
  readonly body: Buffer
}
export interface Told {
  readonly error: number
  readonly unique: bigint
  readonly body: Buffer
}

export class Scene {
  readonly translator: Translator
  readonly stale: Stale
  readonly reports: string[] = []
  /** How often helpers were called for. */
  calls = 0
  readonly notifications: Buffer[] = []
  private readonly kernel: Fd
  private readonly daemon: Fd
  private readonly wire: Wire
  private own = 0n
  private tid = 0
  private id = 0

  /**
   * @param resolver the socket on which the resolver is asked; without it there is none
   * @param memory what earlier lives have left
   */
  constructor(t: Test, resolver = -1, memory = new Memory()) {
    const [channel, kernel] = socketpair('seqpacket')
    const [socket, daemon] = socketpair('seqpacket')
    const control = rawSyscall('eventfd2', 0, 0o4000) as Fd
    t.teardown(() => [channel, kernel, socket, daemon, control].forEach(closeFd))
    for (const fd of [channel, kernel, daemon]) enlarge(fd)
    for (const fd of [kernel, daemon]) setNonblocking(fd, true)
    this.kernel = kernel
    this.daemon = daemon
    this.wire = new Wire(channel, socket, control, resolver)
    this.stale = new Stale(new ResolverLine(resolver), Buffer.from('/mnt'), memory)
    this.translator = new Translator(this.wire, this.stale, Number(LIFE), {
      isStopped: () => false,
      report: (what) => this.reports.push(what),
      notify: (message) => this.notifications.push(message),
      callHelpers: () => this.calls++,
    })
    this.stale.attach(this.translator)
    this.translator.spanning.end()
  }

  /** A file of an earlier life is known to be this one of the daemon's. */
  adopt(kernel: bigint, daemon: bigint): void {
    const half = (value: bigint): [number, number] => [Number(value & 0xffff_ffffn), Number(value >> 32n)]
    this.translator.nodes.adopt(...half(kernel), ...half(daemon), 0)
  }

  /** What the daemon will say to the next question of the translator's own. */
  willSay(error: number, body: Buffer = Buffer.alloc(0)): void {
    this.own += 2n
    this.send(this.daemon, reply(OWN | this.own, error, body))
  }

  /** The next names that the translator looks up do not exist. */
  willFindNone(count: number): void {
    for (let i = 0; i < count; i++) this.willSay(-ENOENT)
  }

  /** The daemon's answer to a request of the kernel's that the translator waits for. */
  queue(unique: bigint, error: number): void {
    this.send(this.daemon, reply(unique, error))
  }

  /** The translator's next message of its own has no answer. */
  willForget(): void {
    this.own += 2n
  }

  /** Whose requests the next ones are. */
  from(tid: number): void {
    this.tid = tid
  }

  /** Whose user's and group's they are. */
  as(id: number): void {
    this.id = id
  }

  /** The kernel asks. */
  ask(opcode: OpcodeName | number, unique: bigint, node: bigint, ...body: Buffer[]): void {
    const bytes = Buffer.concat([Buffer.alloc(40), ...body])
    bytes.writeUInt32LE(bytes.length, 0)
    bytes.writeUInt32LE(typeof opcode === 'number' ? opcode : opcodes[opcode].number, 4)
    bytes.writeBigUInt64LE(unique, 8)
    bytes.writeBigUInt64LE(node, 16)
    bytes.writeUInt32LE(this.id, 24)
    bytes.writeUInt32LE(this.id, 28)
    bytes.writeUInt32LE(this.tid, 32)
    if (bytes.length > this.wire.request.bytes.length) this.wire.request = allocate(bytes.length)
    this.send(this.kernel, bytes)
    this.translator.fromKernel(this.wire.readRequest())
  }

  /** The daemon says something unasked, or answers a request of the kernel's. */
  say(unique: bigint, error: number, body: Buffer = Buffer.alloc(0)): void {
    this.sayRaw(reply(unique, error, body))
  }

  sayRaw(bytes: Buffer): void {
    this.queueRaw(bytes)
    this.hear()
  }

  /** A message of the daemon's that is still to be heard. */
  queueRaw(bytes: Buffer): void {
    this.send(this.daemon, bytes)
  }

  /** Takes up the daemon's first message, and what that was the reason for. */
  hear(): void {
    this.translator.fromDaemon(this.wire.readReply())
    this.wire.flush()
    this.translator.doLate()
  }

  /** All that the daemon has been asked. */
  asked(): Asked[] {
    this.wire.flush()
    return all(this.daemon).map((bytes) => ({
      opcode: bytes.readUInt32LE(4),
      unique: bytes.readBigUInt64LE(8),
      node: bytes.readBigUInt64LE(16),
      tid: bytes.readUInt32LE(32),
      body: bytes.subarray(40),
    }))
  }

  /** All that the kernel has been told. */
  told(): Told[] {
    this.wire.flush()
    return all(this.kernel).map((bytes) => ({
      error: bytes.readInt32LE(4),
      unique: bytes.readBigUInt64LE(8),
      body: bytes.subarray(16),
    }))
  }

  /** The kernel looks up a name that the daemon knows as this; what the kernel is told. */
  found(unique: bigint, daemon: bigint, ino = daemon): bigint {
    this.ask('LOOKUP', unique, 1n, name('file'))
    this.asked()
    this.say(unique, 0, entry(daemon, { ino }))
    return this.told()[0]?.body.readBigUInt64LE(0) ?? 0n
  }

  private send(fd: Fd, bytes: Buffer): void {
    sendMessage(fd, bytes)
  }
}

function all(fd: Fd): Buffer[] {
  const messages: Buffer[] = []
  for (;;) {
    const size = rawSyscall('read', fd, room, room.length)
    if (size <= 0) return messages
    messages.push(Buffer.from(room.subarray(0, size)))
  }
}
const room = Buffer.alloc(1 << 22)

export function reply(unique: bigint, error: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(16), body])
  bytes.writeUInt32LE(bytes.length, 0)
  bytes.writeInt32LE(error, 4)
  bytes.writeBigUInt64LE(unique, 8)
  return bytes
}

export const name = (text: string): Buffer => Buffer.from(`${text}\0`)

/** Numbers of 64 bits, one after the other. */
export const words = (...values: bigint[]): Buffer => Buffer.from(BigUint64Array.from(values).buffer)

/** Numbers of 32 bits, one after the other. */
export const halves = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer)

interface Attributes {
  readonly generation?: bigint
  readonly ino?: bigint
  readonly mode?: number
  readonly size?: bigint
}

export function entry(
  node: bigint,
  { generation = 0n, ino = 0n, mode = 0o100644, size = 0n }: Attributes = {},
): Buffer {
  const bytes = Buffer.alloc(sizeOf('fuse_entry_out'))
  bytes.writeBigUInt64LE(node, 0)
  bytes.writeBigUInt64LE(generation, 8)
  bytes.writeBigUInt64LE(ino, 40)
  bytes.writeBigUInt64LE(size, 48)
  bytes.writeUInt32LE(mode, 100)
  return bytes
}
