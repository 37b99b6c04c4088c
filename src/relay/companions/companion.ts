// The processes that wait for a mount in our place: one asks the kernel for paths, one writes notifications to the channel, one
// asks a decoy for an answer. All run the same few hundred bytes, and end with their socket.
import { executable } from '../../elf/executable.js'
import { resolverMessage, resolverQuestions } from '../../elf/resolver.js'
import { type Child, startChild } from '../../kernel/children.js'
import type { Owner } from '../../kernel/mountinfo.js'
import { closeFd } from '../../native/descriptor.js'
import { failedWith } from '../../native/error.js'
import { sendMessage, socketpair } from '../../native/socket.js'
import type { Fd } from '../../native/types.js'
import { enlarge } from '../wire/wire.js'

export class Companion {
  private constructor(
    readonly socket: Fd,
    private readonly child: Child,
  ) {}

  /**
   * @param channel to write notifications to, or null
   * @returns null if no process can be had
   */
  static start(channel: Fd | null): Companion | null {
    const [ours, theirs] = socketpair('seqpacket')
    for (const fd of [ours, theirs]) enlarge(fd)
    try {
      const child = startChild({
        program: executable('resolver'),
        argv: ['keepmount-path'],
        cwd: '/',
        env: {},
        fds: [theirs, null, null, channel],
      })
      child.unref()
      return new Companion(ours, child)
    } catch (error) {
      if (!failedWith(error, 'EACCES', 'EPERM', 'EAGAIN', 'ENOMEM')) throw error
    } finally {
      closeFd(theirs)
    }
    closeFd(ours)
    return null
  }

  /** Writes a notification; drops it when very many wait already, and what the kernel has cached expires by itself. */
  notify(message: Buffer): void {
    this.ask(resolverQuestions.NOTIFY, message)
  }

  /** Its socket becomes readable when the mount has answered. */
  askMount(mountpoint: string): void {
    this.ask(resolverQuestions.STATFS, Buffer.from(`${mountpoint}\0`))
  }

  /** From now on it asks as this user. */
  become({ uid, gid }: Owner): void {
    this.ask(resolverQuestions.BECOME, Buffer.from(Uint32Array.of(uid, gid).buffer))
  }

  private ask(op: number, argument: Buffer): void {
    const question = Buffer.alloc(resolverMessage.argument + argument.length)
    question.writeUInt32LE(op)
    argument.copy(question, resolverMessage.argument)
    try {
      sendMessage(this.socket, question)
    } catch (error) {
      if (!failedWith(error, 'EAGAIN', 'EPIPE', 'ECONNRESET', 'EMSGSIZE')) throw error
    }
  }

  get pid(): number {
    return this.child.pid
  }

  /** As far as is known. */
  get isAlive(): boolean {
    return this.child.isRunning
  }

  end(): void {
    this.child.kill()
    closeFd(this.socket)
  }
}
