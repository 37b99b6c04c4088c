// Which generations the nodeids of a mount have. What the kernel holds can only be asked for by both.
import type { Daemon } from './daemon.js'
import { isDots, namesIn } from './directory.js'
import type { Query } from './query.js'
import type { Answer } from './resolver-line.js'

/** A daemon may number each of its lives anew. */
const MOST_GENERATIONS = 16
/**
 * bazil counts how often it has given out a nodeid again, and takes that for a generation: so many are tried of a mount that
 * has shown several, and of others. The kernel knows the answer by itself; it takes some microseconds.
 */
const MOST_COUNTED = 4096
const FEW_COUNTED = 64

export class Generations {
  /** True once it is known what generations this life gives out. */
  private hasSampled = false

  /** @param known those that were seen, the newest first. Outlives the life */
  constructor(readonly known: number[]) {}

  /** This life gave out a nodeid of this generation. */
  saw(generation: number): void {
    this.hasSampled = true
    this.learn(generation)
  }

  learn(generation: number): void {
    const { known } = this
    if (known[0] === generation || known.includes(generation)) return
    known.unshift(generation)
    // Most daemons know none but 0.
    if (known.length > MOST_GENERATIONS) known.splice(-2, 1)
  }

  /** Gives a query those that have become known meanwhile, at the latest by what this life says of the first file there is. */
  addTo(query: Query, daemon: Daemon | undefined): void {
    const fresh = (each: number): boolean => !query.generations.includes(each)
    if (daemon && !this.known.some(fresh)) this.sample(daemon)
    const known = this.known.filter(fresh)
    if (known.length > 0 || query.isCounted) return void query.generations.push(...known)
    query.isCounted = true
    const most = this.known.length > 2 ? MOST_COUNTED : FEW_COUNTED
    query.generations.push(...Array.from({ length: most }, (_, i) => i).filter(fresh))
  }

  private sample(daemon: Daemon): void {
    if (this.hasSampled) return
    this.hasSampled = true
    const name = namesIn(daemon, 1, 0)?.find((each) => !isDots(each))
    const found = name === undefined ? null : daemon.lookup(1, 0, name)
    if (found === null || typeof found === 'number') return
    this.saw(found.generation)
    daemon.forget(found.low, found.high, 1)
  }

  /** Asks with each of them, until there is an answer; null if there is none. */
  askWithEach(
    ask: (generation: number, took: (answer: Answer | null) => void) => boolean,
    take: (answer: Answer | null) => void,
  ): void {
    const generations = [...this.known]
    const next = (): void => {
      const generation = generations.shift()
      if (generation === undefined) return take(null)
      const isAsked = ask(generation, (answer) => (answer !== null && answer.result >= 0 ? take(answer) : next()))
      if (!isAsked) take(null)
    }
    next()
  }
}
