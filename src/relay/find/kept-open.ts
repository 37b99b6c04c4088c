// Files of earlier lives that are open in the kernel, and of which this life takes away a name before anything was done with
// them: the daemon is made to know that they are open. One that renames what is unlinked while open would remove them
// otherwise, and what others have open no more can't be opened again by a name. What it leaves so when it dies is removed in
// the next life, unless somebody has it open still.
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { openFlags } from '../../native/open-flags.js'
import type { DaemonId } from '../ids/known-names.js'
import type { Nodes } from '../ids/nodes.js'
import type { Daemon } from '../wire/daemon.js'
import { namesIn } from '../wire/directory.js'
import { hiddenNode } from './identity.js'
import { keyOf } from './query.js'

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

/** A file that a daemon was to take the name of, and that the kernel holds still: where it may be hidden. */
export interface Leaving {
  /** The kernel's id of the file. */
  readonly file: DaemonId
  /** The kernel's id of the folder. */
  readonly folder: DaemonId
  /** The lower half of the daemon's id, which is in the hidden name. */
  readonly hiddenAs: number
  /** Null if inode numbers say nothing. */
  readonly ino: bigint | null
}

export class KeptOpen {
  /** By the kernel's id, of which there may be several for one file. */
  private readonly kept = new Map<string, Kept>()

  /** How often an earlier life's nodeid is open, as far as is known. */
  private readonly opens = new Map<string, number>()

  /** @param leavings outlives the life; by the kernel's id */
  constructor(private readonly leavings: Map<string, Leaving>) {}

  /** An application has it open since an earlier life: once for each open file. */
  opened(kernelLow: number, kernelHigh: number): void {
    const key = keyOf(kernelLow, kernelHigh)
    this.opens.set(key, (this.opens.get(key) ?? 0) + 1)
  }

  /** And has closed it. */
  closed(kernelLow: number, kernelHigh: number): void {
    const key = keyOf(kernelLow, kernelHigh)
    const left = (this.opens.get(key) ?? 0) - 1
    if (left > 0) this.opens.set(key, left)
    else this.opens.delete(key)
  }

  /**
   * A name of this is about to be taken away.
   * @param parent the slot of its folder
   * @throws Ended
   */
  keep(daemon: Daemon, nodes: Nodes, { low, high }: DaemonId, parent: number): void {
    for (let slot = nodes.ofDaemon(low, high); slot >= 0; slot = nodes.nextOf(slot)) {
      const key = keyOf(nodes.kernelLow[slot] ?? 0, nodes.kernelHigh[slot] ?? 0)
      const [file, folder] = [slot, parent].map((each) => ({
        low: nodes.kernelLow[each] ?? 0,
        high: nodes.kernelHigh[each] ?? 0,
      }))
      // It may as well be open in this life, which the daemon knows.
      if (file && folder) this.leavings.set(key, { file, folder, hiddenAs: low, ino: null })
      if (!this.opens.has(key) || this.kept.has(key)) continue
      // Opening a pipe waits for its other end.
      const ino = inodeOfFile(daemon, low, high)
      if (ino === null) return
      for (const flags of [openFlags.O_RDONLY, openFlags.O_WRONLY]) {
        const body = Buffer.alloc(8)
        body.writeUInt32LE(flags)
        const size = daemon.ask('OPEN', low, high, body)
        if (size < OUT_HEADER_SIZE + 8) continue
        const [fhLow, fhHigh] = [OUT_HEADER_SIZE, OUT_HEADER_SIZE + 4].map((at) => daemon.answer.getUint32(at, true))
        this.kept.set(key, { low, high, fhLow: fhLow ?? 0, fhHigh: fhHigh ?? 0, flags })
        // Where the inode number is the nodeid it does not tell one file from another.
        const telling = ino === BigInt(low) ? null : ino
        if (file && folder) this.leavings.set(key, { file, folder, hiddenAs: low, ino: telling })
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
    const key = keyOf(kernelLow, kernelHigh)
    this.opens.delete(key)
    const kept = this.take(kernelLow, kernelHigh)
    if (kept) this.release(daemon, kept)
    // Not before: one that dies of it leaves it hidden.
    this.leavings.delete(key)
  }

  private release(daemon: Daemon, kept: Kept): void {
    const body = Buffer.alloc(releaseIn.$size)
    body.writeUInt32LE(kept.fhLow)
    body.writeUInt32LE(kept.fhHigh, 4)
    daemon.ask('RELEASE', kept.low, kept.high, body)
  }
}

/** Removes what an earlier life has hidden and nobody is known to have open, where its folder is known. @throws Ended */
export function removeLeavings(daemon: Daemon, nodes: Nodes, leavings: Map<string, Leaving>): void {
  for (const [key, { file, folder, hiddenAs, ino }] of [...leavings]) {
    if (nodes.ofKernel(file.low, file.high) >= 0) continue
    leavings.delete(key)
    const slot = nodes.ofKernel(folder.low, folder.high)
    if (slot < 0) continue
    const [low, high] = [nodes.daemonLow[slot] ?? 0, nodes.daemonHigh[slot] ?? 0]
    const names = (namesIn(daemon, low, high) ?? []).filter((name) => hiddenNode(name) === hiddenAs)
    if (ino === null && names.length !== 1) continue
    for (const name of names) {
      const found = daemon.lookup(low, high, name)
      if (found === null || typeof found === 'number') continue
      if (ino === null || found.ino === ino) daemon.ask('UNLINK', low, high, name, Buffer.alloc(1))
      daemon.forget(found.low, found.high, 1)
    }
  }
}

/** Null if it is no regular file. */
function inodeOfFile(daemon: Daemon, low: number, high: number): bigint | null {
  const size = daemon.ask('GETATTR', low, high, getattrBody)
  if (size < OUT_HEADER_SIZE + attrOut.$size) return null
  const { mode, ino } = attrOut.attr
  const isFile = (mode.get(daemon.answer, OUT_HEADER_SIZE) & S_IFMT) === S_IFREG
  return isFile ? ino.get(daemon.answer, OUT_HEADER_SIZE) : null
}
