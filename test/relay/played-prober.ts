// The process that asks the kernel which nodeids it holds, played by the test.
import type { Test } from 'tap'
import { PROBE_SIZE, resolverMessage } from '../../src/elf/resolver.js'
import { layout } from '../../src/fuse/layout.js'
import { closeFd } from '../../src/native/descriptor.js'
import { receiveNow, sendMessage, socketpair } from '../../src/native/socket.js'
import type { Fd } from '../../src/native/types.js'
import { Prober } from '../../src/relay/companions/prober.js'

const ENOENT = 2
const ID = 8 + layout('fuse_notify_inval_inode_out').ino.offset + 8

export class PlayedProber {
  readonly prober: Prober
  private readonly companion: Fd

  constructor(t: Test) {
    const [ours, theirs] = socketpair('seqpacket')
    t.teardown(() => [ours, theirs].forEach(closeFd))
    this.companion = theirs
    this.prober = new Prober(ours)
  }

  /** The ids that the kernel is asked for; it answers that it holds these. */
  probed(...held: bigint[]): bigint[] {
    const question = receiveNow(this.companion)?.bytes
    if (!question) return []
    const ids: bigint[] = []
    for (let at: number = resolverMessage.argument; at < question.length; at += PROBE_SIZE) {
      const id = question.readBigUInt64LE(at + ID)
      ids.push(id)
      question.writeInt32LE(held.includes(id) ? 0 : -ENOENT, at)
    }
    sendMessage(this.companion, question)
    this.prober.receive()
    return ids
  }
}
