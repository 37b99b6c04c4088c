// Which nodeids the kernel holds, asked of the kernel itself: a notification about a nodeid that it does not hold fails with
// ENOENT, whatever its generation. Another process writes them, since the kernel lets wait who asks for an inode that it
// is just dropping, and that may need the relay. When it says that it holds none, the FORGET of the one that it may have
// held before is in the channel already. The same process waits for the lock of a folder.
// Source: fs/fuse/inode.c, fuse_reverse_inval_inode; fs/inode.c, evict; fs/fuse/dir.c, fuse_reverse_inval_entry.
import { PROBE_SIZE, resolverMessage, resolverQuestions } from '../../elf/resolver.js'
import { layout } from '../../fuse/layout.js'
import { notification } from '../../fuse/message.js'
import { rawSyscall } from '../../native/ffi.js'
import { allocate } from '../../native/memory.js'
import type { DaemonId } from '../ids/known-names.js'

const inval = layout('fuse_notify_inval_inode_out')
const { argument, op, token } = resolverMessage
const MOST_AT_ONCE = 1024
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const EINTR = 4
const EAGAIN = 11
const ENOENT = 2

const body = Buffer.alloc(inval.$size)
// From -1 on: nothing cached is dropped but the attributes.
body.writeBigInt64LE(-1n, inval.off.offset)
const message = notification('FUSE_NOTIFY_INVAL_INODE', body)
/** About a name that is never in the cache: only the folder's lock is taken. */
const unlocking = Buffer.concat([Buffer.alloc(layout('fuse_notify_inval_entry_out').$size), Buffer.from('.\0')])
unlocking.writeUInt32LE(1, layout('fuse_notify_inval_entry_out').namelen.offset)
const INO = message.length - inval.$size + inval.ino.offset

/** For each id whether the kernel holds it; null if that can't be told. */
type Take = (held: readonly boolean[] | null) => void

interface Question {
  /** Pairs of a lower and an upper half. */
  readonly ids: readonly number[]
  readonly held: boolean[]
  readonly take: Take
  /** A notification instead, whose writing is all that is waited for: until the folder is free. */
  readonly notification?: Buffer
  readonly folder?: DaemonId
}

export class Prober {
  private readonly block = allocate(argument + MOST_AT_ONCE * PROBE_SIZE)
  private readonly questions: Question[] = []
  private counter = 0

  /** @param fd the socket of the process that writes; -1 for none */
  constructor(private fd: number) {}

  /** The socket to wait for, or -1. */
  get socket(): number {
    return this.fd
  }

  /** True while an answer is due. */
  get isWaiting(): boolean {
    return this.questions.length > 0
  }

  /** @param ids pairs of a lower and an upper half */
  ask(ids: readonly number[], take: Take): void {
    if (this.fd < 0) return take(null)
    this.questions.push({ ids, held: [], take })
    if (this.questions.length === 1) this.send()
  }

  /** Waits until nobody changes names in a folder; at once if the kernel does not hold it, or nobody can be asked. */
  whenFree(low: number, high: number, done: () => void): void {
    if (this.fd < 0) return done()
    const about = Buffer.from(unlocking)
    about.writeUInt32LE(low, 0)
    about.writeUInt32LE(high, 4)
    const each = notification('FUSE_NOTIFY_INVAL_ENTRY', about)
    this.questions.push({ ids: [], held: [], take: done, notification: each, folder: { low, high } })
    if (this.questions.length === 1) this.send()
  }

  /** Whose locks are waited for, one after the other; of some of them nobody may want to know any more. */
  get folders(): DaemonId[] {
    return this.questions.flatMap(({ folder }) => folder ?? [])
  }

  /** Takes up one answer, when the socket is readable. */
  receive(): void {
    const { address, bytes, view } = this.block
    const size = rawSyscall('read', this.fd, address, bytes.length)
    if (size === -EAGAIN || size === -EINTR) return
    const [question] = this.questions
    if (size < argument || !question) return this.close()
    if (view.getUint32(token, true) !== this.counter) return
    if (!question.notification)
      for (let at = argument; at < size; at += PROBE_SIZE) question.held.push(view.getInt32(at, true) !== -ENOENT)
    if (question.held.length * 2 < question.ids.length) return this.send()
    this.questions.shift()
    if (this.questions.length > 0) this.send()
    question.take(question.held)
  }

  /** Asks nothing any more. */
  close(): void {
    this.fd = -1
    for (const { take } of this.questions.splice(0)) take(null)
  }

  /** The next part of the first question. */
  private send(): void {
    const { bytes, view, address } = this.block
    const [{ ids, held, notification: single } = { ids: [], held: [] }] = this.questions
    view.setUint32(token, ++this.counter, true)
    view.setUint32(op, single ? resolverQuestions.NOTIFY : resolverQuestions.PROBE, true)
    single?.copy(bytes, argument)
    const first = held.length
    const count = Math.min(MOST_AT_ONCE, ids.length / 2 - first)
    for (let i = first, at = argument; i < first + count; i++, at += PROBE_SIZE) {
      message.copy(bytes, at)
      view.setUint32(at + INO, ids[2 * i] ?? 0, true)
      view.setUint32(at + INO + 4, ids[2 * i + 1] ?? 0, true)
    }
    const size = argument + (single?.length ?? count * PROBE_SIZE)
    if (rawSyscall('sendto', this.fd, address, size, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0) < 0) this.close()
  }
}
