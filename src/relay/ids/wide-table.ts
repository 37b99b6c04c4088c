// A hash table from 64-bit numbers, given as two halves, to small integers. Every request looks something up in one, so it
// makes no garbage: open addressing in typed arrays, and a removed entry closes its gap at once.

const NONE = -1

export class WideTable {
  private lows = new Uint32Array(64)
  private highs = new Uint32Array(64)
  private values = new Int32Array(64).fill(NONE)
  private mask = 63
  private count = 0

  get size(): number {
    return this.count
  }

  /** The value, which is never negative; -1 if there is none. */
  get(low: number, high: number): number {
    const { lows, highs, values, mask } = this
    for (let at = hash(low, high) & mask; ; at = (at + 1) & mask) {
      const value = values[at] ?? NONE
      if (value === NONE || (lows[at] === low && highs[at] === high)) return value
    }
  }

  /** @param value not negative */
  set(low: number, high: number, value: number): void {
    if (this.count * 2 > this.mask) this.grow()
    const { lows, highs, values, mask } = this
    let at = hash(low, high) & mask
    while (values[at] !== NONE && !(lows[at] === low && highs[at] === high)) at = (at + 1) & mask
    if (values[at] === NONE) this.count++
    lows[at] = low
    highs[at] = high
    values[at] = value
  }

  clear(): void {
    this.values.fill(NONE)
    this.count = 0
  }

  /** Returns what it was, -1 if there was none. */
  delete(low: number, high: number): number {
    const { lows, highs, values, mask } = this
    let gap = hash(low, high) & mask
    while (values[gap] !== NONE && !(lows[gap] === low && highs[gap] === high)) gap = (gap + 1) & mask
    const value = values[gap] ?? NONE
    if (value === NONE) return NONE
    this.count--
    for (let at = (gap + 1) & mask; values[at] !== NONE; at = (at + 1) & mask) {
      const home = hash(lows[at] ?? 0, highs[at] ?? 0) & mask
      // An entry may move into the gap unless its home lies behind it, cyclically.
      if (((at - home) & mask) < ((at - gap) & mask)) continue
      lows[gap] = lows[at] ?? 0
      highs[gap] = highs[at] ?? 0
      values[gap] = values[at] ?? NONE
      gap = at
    }
    values[gap] = NONE
    return value
  }

  private grow(): void {
    const { lows, highs, values } = this
    const size = values.length * 2
    this.lows = new Uint32Array(size)
    this.highs = new Uint32Array(size)
    this.values = new Int32Array(size).fill(NONE)
    this.mask = size - 1
    this.count = 0
    for (const [at, value] of values.entries()) if (value !== NONE) this.set(lows[at] ?? 0, highs[at] ?? 0, value)
  }
}

/** Pointers differ in their middle bits, counters in their lowest. */
function hash(low: number, high: number): number {
  const mixed = Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1)
  return mixed ^ (mixed >>> 15)
}
