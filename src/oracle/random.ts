// Random numbers that a seed repeats: mulberry32, by Tommy Ettinger, in the public domain.

export class Random {
  private state: number

  /** The same parts give the same numbers. */
  constructor(...parts: readonly (number | string)[]) {
    // FNV-1a over the parts, so that neighbouring seeds have nothing in common.
    let hash = 0x811c9dc5
    for (const byte of Buffer.from(parts.join('/'))) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
    this.state = hash
  }

  /** From 0 (included) to 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** Undefined only of an empty list. */
  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)]
  }

  /** One of the keys, each as often as its weight says. */
  weighted<T>(items: readonly (readonly [T, weight: number])[]): T | undefined {
    let left = this.next() * items.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [item, weight] of items) {
      left -= weight
      if (left < 0) return item
    }
    return items[0]?.[0]
  }
}
