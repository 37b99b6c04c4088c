// Which nodeid of the kernel is which of the daemon, and how many lookups each side counts. The kernel's id of a file
// that this life found first is the daemon's own, plain, where the kernel provably holds no such id of an earlier life
// (see plain-ids.ts). Else it carries the life, so that it is no other life's; its lower half is the daemon's, so that it
// can be told later which id a daemon gave a name like `.fuse_hidden…` after. What the kernel has been given stays what it
// is until the kernel has forgotten it: a file never has a second id only because it could be plain by now.
//
//   kernel's id:  | life 16 bits | sequence 16 bits | lower half of the daemon's id, 32 bits |
//   an earlier life's, and those that a daemon gave out itself, stay what they are: stale
import { WideTable } from './wide-table.js'

const FIRST_SIZE = 256
const ROOT = 0
const NONE = -1

export class Nodes {
  kernelLow = new Uint32Array(FIRST_SIZE)
  kernelHigh = new Uint32Array(FIRST_SIZE)
  daemonLow = new Uint32Array(FIRST_SIZE)
  daemonHigh = new Uint32Array(FIRST_SIZE)
  /** Lookups that the kernel was given in this life and has not forgotten. */
  private given = new Float64Array(FIRST_SIZE)
  /** Lookups of our own that the daemon counts. */
  private own = new Float64Array(FIRST_SIZE)
  /** 1 if an earlier life gave the id out. */
  stale = new Uint8Array(FIRST_SIZE)
  /** 1 if the id is the daemon's own, given out by this life. All that is open on it is this life's as well. */
  plain = new Uint8Array(FIRST_SIZE)
  /** Ids of which the kernel holds none of an earlier life; the value means nothing. */
  readonly vacant = new WideTable()
  /** What the kernel knows its generation to be: 0 if this life gave it out; of a plain one, what the daemon says. */
  generation = new Uint32Array(FIRST_SIZE)
  /**
   * Not 0 if it has lost a name in this life: the daemon may know it by none of those that it has left. So often its present
   * name is looked for.
   */
  doubtful = new Uint8Array(FIRST_SIZE)
  /** 1 if the kernel has forgotten more of a stale id than it was given in this life, and yet may hold it. */
  private uncertain = new Uint8Array(FIRST_SIZE)
  /** The slots of those of which all that this life gave has been forgotten: whether the kernel holds them is to be asked. */
  readonly unsure: number[] = []
  /** The next kernel's id of the same daemon's id. */
  private next = new Int32Array(FIRST_SIZE).fill(NONE)
  private readonly byKernel = new WideTable()
  private readonly byDaemon = new WideTable()
  private readonly free: number[] = []
  private used = 0
  private sequence = 0
  /** How many of each there are, the root left out. */
  live = 0
  staleCount = 0
  plainCount = 0

  constructor(private readonly life: number) {
    this.add(1, 0, 1, 0)
    this.live = 0
  }

  /** The slot of a kernel's id; -1 if it is stale and nobody knows yet what it is. */
  ofKernel(low: number, high: number): number {
    if (low === 1 && high === 0) return ROOT
    return this.byKernel.get(low, high)
  }

  /** The slot of a daemon's id; -1 if the kernel has none for it. */
  ofDaemon(low: number, high: number): number {
    return this.byDaemon.get(low, high)
  }

  /** The other slots of the same daemon's id, one after the other; -1 at the end. */
  nextOf(slot: number): number {
    return this.next[slot] ?? NONE
  }

  /** How many the kernel knows by an id that is not the daemon's own, the root left out. */
  get foreign(): number {
    return this.live - this.plainCount
  }

  /** True if the kernel holds this id, if at all, for what the daemon itself calls so. */
  isOwn(low: number, high: number): boolean {
    if (low === 1 && high === 0) return true
    const slot = this.byKernel.get(low, high)
    return slot < 0 ? this.vacant.get(low, high) >= 0 : this.plain[slot] === 1
  }

  /** The daemon gave this id out by a lookup of the kernel's: returns the slot of what the kernel is told. */
  give(low: number, high: number): number {
    let slot = low === 1 && high === 0 ? ROOT : this.byDaemon.get(low, high)
    if (slot < 0) {
      if (this.vacant.size > 0 && this.isOwn(low, high)) {
        slot = this.add(low, high, low, high)
        this.plain[slot] = 1
        this.plainCount++
      } else {
        let tag = this.life * 0x1_0000
        while (this.byKernel.get(low, tag) >= 0) tag = this.life * 0x1_0000 + (++this.sequence & 0xffff)
        slot = this.add(low, tag, low, high)
      }
    }
    this.given[slot] = (this.given[slot] ?? 0) + 1
    return slot
  }

  /** Takes back one lookup that the kernel did not take. Returns what the daemon has to forget. */
  takeBack(slot: number): number {
    return this.forgetSlot(slot, 1)
  }

  /** An id of an earlier life is this one of the daemon's, which counts one lookup of ours for it. */
  adopt(low: number, high: number, daemonLow: number, daemonHigh: number, generation: number): number {
    const slot = this.add(low, high, daemonLow, daemonHigh)
    this.stale[slot] = 1
    this.staleCount++
    this.generation[slot] = generation
    this.own[slot] = 1
    return slot
  }

  /** True if this is the daemon's id of the slot. */
  isDaemons(slot: number, low: number, high: number): boolean {
    return this.daemonLow[slot] === low && this.daemonHigh[slot] === high
  }

  /** The daemon counts one lookup of ours more. */
  keep(slot: number): void {
    this.own[slot] = (this.own[slot] ?? 0) + 1
  }

  /**
   * The kernel forgets `count` lookups of the slot's id. Returns how many the daemon has to forget.
   * The kernel forgets all at once when it drops an inode, and one at a time only lookups of which it made no use. A stale id
   * that this life did not give is gone then. If it did, the kernel may have dropped what it had of earlier lives and only
   * afterwards have taken what it was given now. Source: fs/fuse/inode.c, fuse_evict_inode.
   */
  forgetSlot(slot: number, count: number): number {
    const given = this.given[slot] ?? 0
    if (slot === ROOT) return Math.min(count, given)
    const isStale = this.stale[slot] === 1
    if (isStale ? given === 0 && count > 0 : count >= given) {
      const total = given + (this.own[slot] ?? 0)
      this.remove(slot)
      return total
    }
    if (count > given) this.uncertain[slot] = 1
    this.given[slot] = Math.max(0, given - count)
    if (this.isUnsure(slot)) this.unsure.push(slot)
    return Math.min(given, count)
  }

  /**
   * The slots of ids that earlier lives gave out, and of which no lookup of this life counts: whether the kernel has them
   * still, its FORGETs do not tell for certain, since it may have sent one before the id was known here.
   */
  silent(): number[] {
    const slots: number[] = []
    for (let slot = 1; slot < this.used; slot++) if (this.isSilent(slot)) slots.push(slot)
    return slots
  }

  isSilent(slot: number): boolean {
    return this.stale[slot] === 1 && this.given[slot] === 0
  }

  /** True if the kernel has dropped what it had of it, and may have been told it once more. */
  isUnsure(slot: number): boolean {
    return this.uncertain[slot] === 1 && this.given[slot] === 0
  }

  /** The kernel holds a silent one no more. Returns how many lookups the daemon has to forget. */
  drop(slot: number): number {
    const own = this.own[slot] ?? 0
    this.remove(slot)
    return own
  }

  private add(kernelLow: number, kernelHigh: number, daemonLow: number, daemonHigh: number): number {
    const slot = this.free.pop() ?? this.used++
    if (slot >= this.stale.length) this.grow()
    this.kernelLow[slot] = kernelLow
    this.kernelHigh[slot] = kernelHigh
    this.daemonLow[slot] = daemonLow
    this.daemonHigh[slot] = daemonHigh
    this.given[slot] = 0
    this.own[slot] = 0
    this.stale[slot] = 0
    this.generation[slot] = 0
    this.doubtful[slot] = 0
    this.uncertain[slot] = 0
    this.plain[slot] = 0
    this.next[slot] = NONE
    this.live++
    this.byKernel.set(kernelLow, kernelHigh, slot)
    const first = this.byDaemon.get(daemonLow, daemonHigh)
    if (first < 0) this.byDaemon.set(daemonLow, daemonHigh, slot)
    else {
      this.next[slot] = this.next[first] ?? NONE
      this.next[first] = slot
    }
    return slot
  }

  private remove(slot: number): void {
    this.byKernel.delete(this.kernelLow[slot] ?? 0, this.kernelHigh[slot] ?? 0)
    const [low, high] = [this.daemonLow[slot] ?? 0, this.daemonHigh[slot] ?? 0]
    const after = this.next[slot] ?? NONE
    let before = this.byDaemon.get(low, high)
    if (before === slot) {
      if (after < 0) this.byDaemon.delete(low, high)
      else this.byDaemon.set(low, high, after)
    } else {
      while (before >= 0 && this.next[before] !== slot) before = this.next[before] ?? NONE
      if (before >= 0) this.next[before] = after
    }
    if (this.stale[slot] === 1) this.staleCount--
    if (this.plain[slot] === 1) this.plainCount--
    this.stale[slot] = 0
    this.plain[slot] = 0
    this.live--
    this.free.push(slot)
  }

  private grow(): void {
    const size = this.stale.length * 2
    this.kernelLow = enlarged(this.kernelLow, new Uint32Array(size))
    this.kernelHigh = enlarged(this.kernelHigh, new Uint32Array(size))
    this.daemonLow = enlarged(this.daemonLow, new Uint32Array(size))
    this.daemonHigh = enlarged(this.daemonHigh, new Uint32Array(size))
    this.given = enlarged(this.given, new Float64Array(size))
    this.own = enlarged(this.own, new Float64Array(size))
    this.stale = enlarged(this.stale, new Uint8Array(size))
    this.doubtful = enlarged(this.doubtful, new Uint8Array(size))
    this.uncertain = enlarged(this.uncertain, new Uint8Array(size))
    this.plain = enlarged(this.plain, new Uint8Array(size))
    this.generation = enlarged(this.generation, new Uint32Array(size))
    this.next = enlarged(this.next, new Int32Array(size))
  }
}

function enlarged<T extends Uint32Array | Float64Array | Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from)
  return to
}
