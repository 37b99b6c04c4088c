// Which nodeids the kernel holds, asked of the kernel itself: a notification about a nodeid that it does not hold fails with
// ENOENT, whatever its generation. Another process writes them, since the kernel lets wait who asks for an inode that it
// is just dropping, and that may need the relay. Source: fs/fuse/inode.c, fuse_reverse_inval_inode.
import { PROBE_SIZE, resolverMessage, resolverQuestions } from '../elf/resolver.js'
import { layout } from '../fuse/layout.js'
import { notification } from '../fuse/message.js'
import { rawSyscall } from '../native/ffi.js'
import { allocate } from '../native/memory.js'
import { pollEvents, pollOnce } from '../native/poll.js'

const inval = layout('fuse_notify_inval_inode_out')
const { argument, op, token } = resolverMessage
const MOST_AT_ONCE = 512
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const ENOENT = 2

const body = Buffer.alloc(inval.$size)
// From -1 on: nothing cached is dropped but the attributes.
body.writeBigInt64LE(-1n, inval.off.offset)
const question = notification('FUSE_NOTIFY_INVAL_INODE', body)
const INO = question.length - inval.$size + inval.ino.offset

export class Prober {
  private readonly block = allocate(argument + MOST_AT_ONCE * PROBE_SIZE)
  private counter = 0

  /** @param socket of the process that writes */
  constructor(private readonly socket: number) {}

  /**
   * @param ids pairs of a lower and an upper half
   * @returns for each pair whether the kernel holds it; null if that could not be told in time
   */
  held(ids: readonly number[], withinMs: number): boolean[] | null {
    const until = performance.now() + withinMs
    const held: boolean[] = []
    for (let first = 0; first < ids.length; first += 2 * MOST_AT_ONCE) {
      const part = this.ask(ids.slice(first, first + 2 * MOST_AT_ONCE), until)
      if (!part) return null
      held.push(...part)
    }
    return held
  }

  private ask(ids: readonly number[], until: number): boolean[] | null {
    const { bytes, view, address } = this.block
    const count = ids.length / 2
    const size = argument + count * PROBE_SIZE
    view.setUint32(op, resolverQuestions.PROBE, true)
    view.setUint32(token, ++this.counter, true)
    for (let i = 0, at = argument; i < count; i++, at += PROBE_SIZE) {
      question.copy(bytes, at)
      view.setUint32(at + INO, ids[2 * i] ?? 0, true)
      view.setUint32(at + INO + 4, ids[2 * i + 1] ?? 0, true)
    }
    if (rawSyscall('sendto', this.socket, address, size, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0) < 0) return null
    for (let left = until - performance.now(); left > 0; left = until - performance.now()) {
      if (pollOnce(this.socket, pollEvents.POLLIN, left) === 0) return null
      const got = rawSyscall('read', this.socket, address, bytes.length)
      if (got <= 0) return null
      // What comes late answers an earlier question.
      if (got === size && view.getUint32(token, true) === this.counter)
        return Array.from({ length: count }, (_, i) => view.getInt32(argument + i * PROBE_SIZE, true) !== -ENOENT)
    }
    return null
  }
}
