// Which file handle of the kernel is which of the daemon. One that this life gave out is found by its number, which names
// its slot and carries the life. One of an earlier life is no name by itself (a daemon may give every file the same): it
// is found by its number, the nodeid it is used with, and the way it has to be open.
//
//   kernel's handle:  | life, 16 bits | turn of the slot, 16 bits | slot + 1, 32 bits |
import { WideTable } from './wide-table.js'

const FIRST_SIZE = 128
const NONE = -1
/** O_ACCMODE and O_APPEND: what a file's own open description decides about. */
const ACCESS = 3
const O_APPEND = 0o2000

export class Handles {
  daemonLow = new Uint32Array(FIRST_SIZE)
  daemonHigh = new Uint32Array(FIRST_SIZE)
  kernelLow = new Uint32Array(FIRST_SIZE)
  kernelHigh = new Uint32Array(FIRST_SIZE)
  /** open(2)'s flags that it was opened with. */
  flags = new Int32Array(FIRST_SIZE)
  /** The slot of the node that a stale one is open on. */
  private node = new Int32Array(FIRST_SIZE)
  private stale = new Uint8Array(FIRST_SIZE)
  /** 1 if a directory has been read from its beginning in this life, so that its offsets mean something. */
  primed = new Uint8Array(FIRST_SIZE)
  private next = new Int32Array(FIRST_SIZE)
  private turn = new Uint16Array(FIRST_SIZE)
  /** Stale handles by their number: the first of a chain. */
  private readonly byKernel = new WideTable()
  private readonly free: number[] = []
  private used = 0
  live = 0
  staleCount = 0

  constructor(private readonly life: number) {}

  /** The daemon opened something: returns the slot, whose kernelLow and kernelHigh are what the kernel is told. */
  give(low: number, high: number, flags: number): number {
    const slot = this.take(low, high, flags)
    this.turn[slot] = (this.turn[slot] ?? 0) + 1
    this.kernelLow[slot] = slot + 1
    this.kernelHigh[slot] = this.life * 0x1_0000 + (this.turn[slot] ?? 0)
    return slot
  }

  /** The slot of a handle that this life gave out; -1 if it is of an earlier one. */
  ofLife(low: number, high: number): number {
    const slot = low - 1
    const known = slot >= 0 && slot < this.used && this.kernelHigh[slot] === high && this.kernelLow[slot] === low
    return known && this.stale[slot] === 0 ? slot : NONE
  }

  /**
   * The slot of a handle of an earlier life that was opened again.
   * @param flags how it has to be open, -1 if that does not matter
   */
  ofEarlier(low: number, high: number, node: number, flags: number): number {
    let slot = this.byKernel.get(low, high)
    while (slot >= 0) {
      const isIt = this.node[slot] === node && (flags < 0 || suffices(this.flags[slot] ?? 0, flags))
      if (isIt) return slot
      slot = this.next[slot] ?? NONE
    }
    return NONE
  }

  /** A handle of an earlier life was opened again. */
  reopened(kernelLow: number, kernelHigh: number, node: number, low: number, high: number, flags: number): number {
    const slot = this.take(low, high, flags)
    this.kernelLow[slot] = kernelLow
    this.kernelHigh[slot] = kernelHigh
    this.node[slot] = node
    this.stale[slot] = 1
    this.staleCount++
    this.next[slot] = this.byKernel.get(kernelLow, kernelHigh)
    this.byKernel.set(kernelLow, kernelHigh, slot)
    return slot
  }

  release(slot: number): void {
    if (this.stale[slot] === 1) {
      const [low, high] = [this.kernelLow[slot] ?? 0, this.kernelHigh[slot] ?? 0]
      const after = this.next[slot] ?? NONE
      let before = this.byKernel.get(low, high)
      if (before === slot) {
        if (after < 0) this.byKernel.delete(low, high)
        else this.byKernel.set(low, high, after)
      } else {
        while (before >= 0 && this.next[before] !== slot) before = this.next[before] ?? NONE
        if (before >= 0) this.next[before] = after
      }
      this.staleCount--
    }
    this.stale[slot] = 0
    this.kernelLow[slot] = 0
    this.live--
    this.free.push(slot)
  }

  private take(low: number, high: number, flags: number): number {
    const slot = this.free.pop() ?? this.used++
    if (slot >= this.stale.length) this.grow()
    this.daemonLow[slot] = low
    this.daemonHigh[slot] = high
    this.flags[slot] = flags
    this.stale[slot] = 0
    this.primed[slot] = 0
    this.next[slot] = NONE
    this.live++
    return slot
  }

  private grow(): void {
    const size = this.stale.length * 2
    const words = (from: Uint32Array): Uint32Array<ArrayBuffer> => copied(from, new Uint32Array(size))
    this.daemonLow = words(this.daemonLow)
    this.daemonHigh = words(this.daemonHigh)
    this.kernelLow = words(this.kernelLow)
    this.kernelHigh = words(this.kernelHigh)
    this.flags = copied(this.flags, new Int32Array(size))
    this.node = copied(this.node, new Int32Array(size))
    this.next = copied(this.next, new Int32Array(size))
    this.stale = copied(this.stale, new Uint8Array(size))
    this.primed = copied(this.primed, new Uint8Array(size))
    this.turn = copied(this.turn, new Uint16Array(size))
  }
}

/** True if what is open with the flags `has` does for a request made through one that was opened with `needs`. */
function suffices(has: number, needs: number): boolean {
  if ((needs & ACCESS) !== 0 && ((has ^ needs) & O_APPEND) !== 0) return false
  return (has & ACCESS) === (needs & ACCESS) || (has & ACCESS) === 2
}

function copied<T extends Uint32Array | Int32Array | Uint8Array | Uint16Array>(from: ArrayLike<number>, to: T): T {
  to.set(from)
  return to
}
