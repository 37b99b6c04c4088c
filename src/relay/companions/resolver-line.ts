// The relay's line to the resolver: questions are numbered and kept few, answers come when the socket is readable. Without
// a resolver, or when it is gone, every question is answered with null.
import { RESOLVER_MESSAGE_SIZE, resolverMessage, resolverQuestions } from '../../elf/resolver.js'
import { FILEID_INO64_GEN, NODE_SIZE, type NodeHandle, nodeAt } from '../../kernel/node-handle.js'
import { rawSyscall } from '../../native/ffi.js'
import { fileHandle } from '../../native/file-handles.js'
import { borrowPages, returnPages } from '../../native/pages.js'
import type { Known } from '../find/identity.js'
import { keyOf } from '../find/query.js'
import { attributesFrom } from './cached-attributes.js'

const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000

/** So many answers fit the socket's queue for certain. */
const MOST_UNANSWERED = 16
const MOST_SEEN = 1000
const STATX_TYPE = 1
const STATX_INO = 0x100

export interface Answer {
  /** 0 or more, or a negative errno. */
  readonly result: number
  /** Empty if there is none. */
  readonly path: Buffer
  /** What the kernel has cached of the file. */
  readonly known: Known | null
  /** The same, whole: a struct statx. Empty if there is none. */
  readonly statx: Buffer
  /** The nodeid that it is about, where it was asked for the folder above. */
  readonly handle: NodeHandle
}
type Take = (answer: Answer | null) => void

export class ResolverLine {
  private readonly message = borrowPages(RESOLVER_MESSAGE_SIZE)
  private readonly waiting = new Map<number, Take>()
  private readonly queue: { bytes: Buffer; take: Take }[] = []
  /** Struct statx by nodeid. */
  private readonly seen = new Map<string, Buffer>()
  private counter = 0
  /** True once the mount's root is open there. */
  isOpen = false

  /** @param fd its socket; -1 for none */
  constructor(private fd: number) {}

  /** The socket to wait for, or -1. */
  get socket(): number {
    return this.fd
  }

  /** True while an answer is due. */
  get isWaiting(): boolean {
    return this.waiting.size > 0
  }

  open(mountpoint: Buffer, take: Take): void {
    this.question(resolverQuestions.OPEN, terminated(mountpoint), (answer) => {
      this.isOpen = answer !== null && answer.result >= 0
      take(answer)
    })
  }

  resolve(low: number, high: number, generation: number, take: Take): boolean {
    return this.byHandle(resolverQuestions.RESOLVE, low, high, generation, (answer) => {
      if (answer) this.learn(low, high, answer.statx)
      take(answer)
    })
  }

  /** What the kernel had cached of a nodeid when it was asked about it last, a struct fuse_attr; null if it was not asked. */
  attributesOf(low: number, high: number): Buffer | null {
    const statx = this.seen.get(keyOf(low, high))
    return statx ? attributesFrom(statx) : null
  }

  private learn(low: number, high: number, statx: Buffer): void {
    if (statx.length === 0) return
    if (this.seen.size >= MOST_SEEN) this.seen.clear()
    this.seen.set(keyOf(low, high), statx)
  }

  private byHandle(op: number, low: number, high: number, generation: number, take: Take, ...rest: Buffer[]): boolean {
    if (this.fd < 0) return false
    const handle = Buffer.alloc(8 + NODE_SIZE)
    for (const [i, word] of [NODE_SIZE, FILEID_INO64_GEN, high, low, generation].entries())
      handle.writeUInt32LE(word, 4 * i)
    this.question(op, Buffer.concat([handle, ...rest]), take)
    return true
  }

  /** The same for the folder above a folder, with its handle. */
  parentOf(low: number, high: number, generation: number, take: Take): boolean {
    return this.byHandle(resolverQuestions.PARENT, low, high, generation, (answer) => {
      if (answer && answer.result >= 0) this.learn(answer.handle.low, answer.handle.high, answer.statx)
      take(answer)
    })
  }

  /** The same for what has this name in a folder, with its handle: if the kernel has it cached, and without a look-up. */
  childOf(low: number, high: number, generation: number, name: Buffer, take: Take): boolean {
    return this.byHandle(resolverQuestions.CHILD, low, high, generation, take, terminated(name))
  }

  purge(mountpoint: Buffer, take: Take): void {
    this.question(resolverQuestions.PURGE, terminated(mountpoint), take)
  }

  use(mountpoint: Buffer, take: Take): void {
    this.question(resolverQuestions.USE, terminated(mountpoint), take)
  }

  /** Closes the mount's root there, so that it is pinned no more. */
  closeRoot(take: Take): void {
    this.isOpen = false
    this.question(resolverQuestions.CLOSE, Buffer.alloc(0), take)
  }

  /** Asks nothing any more. */
  close(): void {
    this.fd = -1
    this.isOpen = false
    const all = [...this.waiting.values(), ...this.queue.map(({ take }) => take)]
    this.waiting.clear()
    this.queue.length = 0
    for (const take of all) take(null)
  }

  /** Ends its use: gives its memory back. */
  free(): void {
    returnPages(this.message)
  }

  /** Takes up one answer, if there is one. */
  receive(): void {
    const { address, bytes, view } = this.message
    const size = rawSyscall('read', this.fd, address, bytes.length)
    if (size === -EAGAIN || size === -EINTR) return
    if (size < resolverMessage.argument) return this.close()
    const token = view.getUint32(resolverMessage.token, true)
    const take = this.waiting.get(token)
    this.waiting.delete(token)
    const hasPath = size > resolverMessage.path
    const path = hasPath ? Buffer.from(bytes.subarray(resolverMessage.path, size)) : Buffer.alloc(0)
    take?.({
      result: view.getInt32(resolverMessage.result, true),
      path,
      known: hasPath ? this.known() : null,
      statx: hasPath ? Buffer.from(bytes.subarray(resolverMessage.statx, resolverMessage.path)) : Buffer.alloc(0),
      handle: this.handle(),
    })
    for (let next = this.queue.shift(); next; next = this.queue.shift()) {
      this.send(next.bytes, next.take)
      if (this.waiting.size >= MOST_UNANSWERED) break
    }
  }

  private question(op: number, argument: Buffer, take: Take): void {
    if (this.fd < 0) return take(null)
    const bytes = Buffer.alloc(resolverMessage.argument + argument.length)
    bytes.writeUInt32LE(op)
    argument.copy(bytes, resolverMessage.argument)
    if (this.waiting.size < MOST_UNANSWERED) this.send(bytes, take)
    else this.queue.push({ bytes, take })
  }

  private send(bytes: Buffer, take: Take): void {
    const token = ++this.counter
    bytes.writeUInt32LE(token, resolverMessage.token)
    const sent = rawSyscall('sendto', this.fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0)
    if (sent < 0) return take(null)
    this.waiting.set(token, take)
  }

  /** Source: fs/fuse/inode.c, fuse_encode_fh. */
  private handle(): NodeHandle {
    return nodeAt(this.message.bytes, resolverMessage.argument + fileHandle.f_handle)
  }

  /** Source: statx(2): stx_mask 0, stx_nlink 16, stx_mode 28, stx_ino 32, stx_size 40, stx_mtime 112. */
  private known(): Known | null {
    const { view } = this.message
    const at = resolverMessage.statx
    if ((view.getUint32(at, true) & (STATX_TYPE | STATX_INO)) !== (STATX_TYPE | STATX_INO)) return null
    return {
      links: view.getUint32(at + 16, true),
      mode: view.getUint16(at + 28, true),
      ino: view.getBigUint64(at + 32, true),
      size: view.getBigUint64(at + 40, true),
      mtime: view.getBigInt64(at + 112, true) * 1_000_000_000n + BigInt(view.getUint32(at + 120, true)),
    }
  }
}

const EINTR = 4
const EAGAIN = 11
const terminated = (path: Buffer): Buffer => Buffer.concat([path, Buffer.alloc(1)])
