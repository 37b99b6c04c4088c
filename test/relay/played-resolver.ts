// A scene with a resolver that the test plays: what the relay asks the kernel for is read, and answered when the test says so.
import type { Test } from 'tap'
import { resolverMessage, resolverQuestions } from '../../src/elf/resolver.js'
import { closeFd } from '../../src/native/descriptor.js'
import { receiveNow, sendMessage, socketpair } from '../../src/native/socket.js'
import type { Fd } from '../../src/native/types.js'
import { Memory } from '../../src/relay/memory.js'
import { halves, Scene } from './scene.js'

const { argument, result, statx, path: pathAt } = resolverMessage
const STATX_TYPE_AND_INO = 0x101

/** What the kernel has cached of a file. */
export interface Cached {
  readonly ino?: bigint
  readonly mode?: number
  readonly links?: number
}

export class PlayedResolver {
  constructor(
    private readonly socket: Fd,
    private readonly scene: Scene,
  ) {}

  /** The next question; undefined if there is none. */
  question(): { op: string; rest: Buffer; bytes: Buffer } | undefined {
    const bytes = receiveNow(this.socket)?.bytes
    if (!bytes) return undefined
    const op = Object.entries(resolverQuestions).find(([, number]) => number === bytes.readUInt32LE(resolverMessage.op))
    return { op: op?.[0] ?? '', rest: bytes.subarray(argument), bytes }
  }

  /** Answers the next question, which is for a path, or for what has one; undefined if nobody asked. */
  answer(path: string, { ino, mode = 0o100644, links = 1 }: Cached = {}, node = 0n): string | undefined {
    const asked = this.question()
    if (!asked) return undefined
    const head = Buffer.alloc(pathAt)
    asked.bytes.copy(head, 0, 0, argument)
    head.writeInt32LE(0, result)
    halves(12, 0x81, Number(node >> 32n), Number(node & 0xffff_ffffn), 0).copy(head, argument)
    if (ino !== undefined) {
      head.writeUInt32LE(STATX_TYPE_AND_INO, statx)
      head.writeUInt32LE(links, statx + 16)
      head.writeUInt16LE(mode, statx + 28)
      head.writeBigUInt64LE(ino, statx + 32)
    }
    this.say(Buffer.concat([head, Buffer.from(path)]))
    return asked.op
  }

  /** Answers the next question with an error; undefined if nobody asked. */
  refuse(errno: number): string | undefined {
    const asked = this.question()
    if (!asked) return undefined
    const head = Buffer.from(asked.bytes.subarray(0, argument))
    head.writeInt32LE(-errno, result)
    this.say(head)
    return asked.op
  }

  private say(message: Buffer): void {
    sendMessage(this.socket, message)
    this.scene.stale.line.receive()
  }
}

/** @param memory what earlier lives have left */
export function withResolver(t: Test, memory = new Memory()): { scene: Scene; resolver: PlayedResolver } {
  const [line, socket] = socketpair('seqpacket')
  t.teardown(() => [line, socket].forEach(closeFd))
  const scene = new Scene(t, line, memory)
  scene.stale.line.isOpen = true
  return { scene, resolver: new PlayedResolver(socket, scene) }
}
