// Which of the daemon's own nodeids the kernel may be given as they are, so that a mount in use comes to need no relay.
//
// What must hold: the kernel is given an id of the daemon's own only if it holds that number for nothing of an earlier life,
// and no request that names it so is under way. Then whatever names the number from now on means what this life gave out,
// and so does every handle that is used with it. It is so for good once it is so: earlier lives give nothing out any more.
//
//   - The life has been served for a while (`isOn`): who got an answer in an earlier life has told the kernel of it.
//   - The kernel has said that it holds no such id (prober.ts); what it held before, it has forgotten by then.
//   - The channel was seen empty after that: that FORGET has been read, and is not taken for one of the new id.
//
// An answer that carries an unknown id is kept until that is known; if it takes too long, the id goes out as a foreign one.

import type { Prober } from '../companions/prober.js'
import { givenNodes } from '../translate/listings.js'
import type { Shape } from '../translate/shapes.js'
import type { Translator } from '../translate/translator.js'

/** Many daemons count: what they will give out next is asked for beforehand. */
const AHEAD = 256
const MOST_VACANT = 1 << 17
const FULL = 0x1_0000_0000 - AHEAD

interface Kept {
  readonly bytes: Buffer
  readonly until: number
}
interface Round {
  readonly ids: number[]
  readonly kept: Kept[]
}
const emptyRound = (): Round => ({ ids: [], kept: [] })

export class PlainIds {
  prober: Prober | null = null
  /** True once ids of earlier lives come up only from the kernel itself. */
  isOn = false
  /** How long an answer is kept at most. */
  keepMs = 5
  /** What is asked for now. */
  private current: Round | null = null
  private askedAt = 0
  private next = emptyRound()
  /** Those of the current round that the kernel does not hold: until the channel has been empty. */
  private free: number[] | null = null
  /** The highest that was asked for, for daemons that count. */
  private lastLow = 0
  private lastHigh = -1

  constructor(private readonly translator: Translator) {}

  /** True while something is asked for, or waits. */
  get isBusy(): boolean {
    return this.current !== null
  }

  /** Milliseconds until an answer has been kept for too long; negative if none is kept. */
  get patience(): number {
    const until = Math.min(firstUntil(this.current), firstUntil(this.next))
    return until === Number.POSITIVE_INFINITY ? -1 : Math.max(0, until - performance.now())
  }

  get isKeeping(): boolean {
    return (this.current?.kept.length ?? 0) > 0 || this.next.kept.length > 0
  }

  /** Keeps the answer of `length` bytes in `wire.reply` if it carries ids of which nothing is known. */
  keep(shape: Shape, length: number): boolean {
    if (!this.isOn || !this.prober || this.prober.socket < 0) return false
    // Who is to say may have to wait himself.
    if (this.current && performance.now() - this.askedAt > this.keepMs) return false
    const ids = this.unknownIn(shape, length)
    if (ids.length === 0) return false
    const { bytes } = this.translator.wire.reply
    this.next.kept.push({ bytes: Buffer.from(bytes.subarray(0, length)), until: performance.now() + this.keepMs })
    for (const id of ids) this.next.ids.push(id)
    if (!this.current) this.ask()
    return true
  }

  /**
   * Goes on with what is asked for.
   * @param isEmpty true if the channel had nothing to read at the moment when it was last looked whether there are answers
   * @throws Ended
   */
  proceed(isEmpty: boolean): void {
    const { current, free } = this
    if (current && free && isEmpty) {
      const { vacant } = this.translator.nodes
      for (let i = 0; i < free.length; i += 2) vacant.set(free[i] ?? 0, free[i + 1] ?? 0, 0)
      this.current = this.free = null
      this.release(current.kept.splice(0))
      if (this.next.ids.length > 0) this.ask()
      return
    }
    const now = performance.now()
    for (const round of [current, this.next]) {
      const late = round?.kept.findIndex(({ until }) => until > now) ?? 0
      if (round && late !== 0) this.release(round.kept.splice(0, late < 0 ? round.kept.length : late))
    }
  }

  private ask(): void {
    const round = this.next
    this.next = emptyRound()
    this.current = round
    this.askedAt = performance.now()
    const { vacant } = this.translator.nodes
    if (vacant.size > MOST_VACANT) vacant.clear()
    const [low = 0, high = 0] = round.ids.slice(-2)
    const isNext = high === this.lastHigh && low > this.lastLow && low - this.lastLow <= AHEAD && low < FULL
    if (isNext) for (let i = 1; i <= AHEAD; i++) round.ids.push(low + i, high)
    this.lastLow = isNext ? low + AHEAD : low
    this.lastHigh = high
    this.prober?.ask(round.ids, (held) => {
      this.free = held === null ? [] : round.ids.filter((_, i) => !held[i >> 1])
    })
  }

  /** Hands answers on that were kept, whether their ids are known by now or not. @throws Ended */
  private release(kept: readonly Kept[]): void {
    for (const { bytes } of kept) {
      this.translator.wire.putReply(bytes)
      this.translator.answers.take(bytes.length, 'all')
    }
  }

  /** Pairs of halves. */
  private unknownIn(shape: Shape, length: number): number[] {
    const { nodes, wire } = this.translator
    const { view } = wire.reply
    const ids: number[] = []
    for (const at of givenNodes(shape, wire.reply, length)) {
      const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
      const isNone = high === 0 && low <= 1
      if (isNone || nodes.ofDaemon(low, high) >= 0 || nodes.ofKernel(low, high) >= 0) continue
      if (nodes.vacant.get(low, high) < 0) ids.push(low, high)
    }
    return ids
  }
}

const firstUntil = (round: Round | null): number => round?.kept[0]?.until ?? Number.POSITIVE_INFINITY
