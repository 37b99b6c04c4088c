// What earlier lives gave out and the kernel has dropped without our knowing it: before we knew of it, or what it is, or just
// when it was told the same nodeid once more. It is asked itself, through the prober.
import type { Prober } from '../companions/prober.js'
import { keyOf } from '../find/query.js'
import type { Translator } from '../translate/translator.js'

interface NodeId {
  readonly low: number
  readonly high: number
}

export class Gone {
  private prober: Prober | null = null
  private isAsking = false

  constructor(private readonly translator: Translator) {}

  helpedBy(prober: Prober): void {
    this.prober = prober
    this.isAsking = false
  }

  /** True if the kernel has forgotten of a nodeid what may have been all of it. */
  get isDue(): boolean {
    return this.translator.nodes.unsure.length > 0 && !this.isAsking
  }

  /** Drops those of which it was all. */
  dropUnsure(): void {
    const { nodes, surroundings } = this.translator
    this.isAsking = true
    if (!this.prober) return surroundings.callHelpers()
    this.dropThoseOf(this.idsOf(nodes.unsure.splice(0)), () => {
      this.isAsking = false
    })
  }

  /** Drops all that the kernel holds no more. */
  drop(done: () => void): void {
    const { nodes, stale } = this.translator
    this.dropThoseOf([...stale.lost.values(), ...this.idsOf(nodes.silent())], done)
  }

  private dropThoseOf(ids: readonly NodeId[], done: () => void): void {
    if (ids.length === 0 || !this.prober) return done()
    const halves = ids.flatMap(({ low, high }) => [low, high])
    this.prober.ask(halves, (held) => {
      for (const [i, isHeld] of held?.entries() ?? []) {
        const id = ids[i]
        if (id && !isHeld) this.dropOne(id)
      }
      done()
    })
  }

  /** @throws Ended */
  private dropOne({ low, high }: NodeId): void {
    const { nodes, stale, daemon } = this.translator
    stale.lost.delete(keyOf(low, high))
    const slot = nodes.ofKernel(low, high)
    if (slot < 0 || !nodes.isSilent(slot)) return
    const [daemonLow, daemonHigh] = [nodes.daemonLow[slot] ?? 0, nodes.daemonHigh[slot] ?? 0]
    const count = nodes.drop(slot)
    stale.left(low, high)
    daemon.forget(daemonLow, daemonHigh, count)
  }

  /** Those of the slots that still may have gone. */
  private idsOf(slots: readonly number[]): NodeId[] {
    const { nodes } = this.translator
    const silent = slots.filter((slot) => nodes.isSilent(slot))
    return silent.map((slot) => ({ low: nodes.kernelLow[slot] ?? 0, high: nodes.kernelHigh[slot] ?? 0 }))
  }
}
