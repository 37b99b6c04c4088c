// Files of earlier lives that are open in the kernel, and of which this life takes away a name before anything was done with
// them: the daemon is made to know that they are open. One that renames what is unlinked while open would remove them
// otherwise, and what others have open no more can't be opened again by a name.
import { layout } from '../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../fuse/message.js'
import { openFlags } from '../native/open-flags.js'
import type { Daemon } from './daemon.js'
import type { DaemonId } from './known-names.js'
import type { Nodes } from './nodes.js'

const attrOut = layout('fuse_attr_out')
const getattrBody = Buffer.alloc(layout('fuse_getattr_in').$size)
const releaseIn = layout('fuse_release_in')
const S_IFMT = 0o170000
const S_IFREG = 0o100000

export interface Kept extends DaemonId {
  readonly fhLow: number
  readonly fhHigh: number
  /** open(2)'s, that it was opened with. */
  readonly flags: number
}

export class KeptOpen {
  /** By the kernel's id, of which there may be several for one file. */
  private readonly kept = new Map<string, Kept>()

  /** A name of this is about to be taken away. @throws Ended */
  keep(daemon: Daemon, nodes: Nodes, { low, high }: DaemonId): void {
    for (let slot = nodes.ofDaemon(low, high); slot >= 0; slot = nodes.nextOf(slot)) {
      const key = keyOf(nodes.kernelLow[slot] ?? 0, nodes.kernelHigh[slot] ?? 0)
      if (!nodes.stale[slot] || this.kept.has(key)) continue
      // Opening a pipe waits for its other end.
      if (!isFile(daemon, low, high)) return
      for (const flags of [openFlags.O_RDONLY, openFlags.O_WRONLY]) {
        const body = Buffer.alloc(8)
        body.writeUInt32LE(flags)
        const size = daemon.ask('OPEN', low, high, body)
        if (size < OUT_HEADER_SIZE + 8) continue
        const [fhLow, fhHigh] = [OUT_HEADER_SIZE, OUT_HEADER_SIZE + 4].map((at) => daemon.answer.getUint32(at, true))
        this.kept.set(key, { low, high, fhLow: fhLow ?? 0, fhHigh: fhHigh ?? 0, flags })
        break
      }
    }
  }

  /** What is kept open of a nodeid of the kernel's, from now on the caller's to close. */
  take(kernelLow: number, kernelHigh: number): Kept | undefined {
    if (this.kept.size === 0) return undefined
    const key = keyOf(kernelLow, kernelHigh)
    const kept = this.kept.get(key)
    this.kept.delete(key)
    return kept
  }

  /** The kernel holds the nodeid no more. The daemon must know it still. @throws Ended */
  close(daemon: Daemon, kernelLow: number, kernelHigh: number): void {
    const kept = this.take(kernelLow, kernelHigh)
    if (!kept) return
    const body = Buffer.alloc(releaseIn.$size)
    body.writeUInt32LE(kept.fhLow)
    body.writeUInt32LE(kept.fhHigh, 4)
    daemon.ask('RELEASE', kept.low, kept.high, body)
  }
}

const keyOf = (low: number, high: number): string => `${high}:${low}`

function isFile(daemon: Daemon, low: number, high: number): boolean {
  const size = daemon.ask('GETATTR', low, high, getattrBody)
  if (size < OUT_HEADER_SIZE + attrOut.$size) return false
  return (attrOut.attr.mode.get(daemon.answer, OUT_HEADER_SIZE) & S_IFMT) === S_IFREG
}
