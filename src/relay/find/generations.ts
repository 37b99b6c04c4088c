// Which generations the nodeids of a mount have. What the kernel holds can only be asked for by both.
import { FUSE_ROOT_ID } from '../../fuse/flags.js'
import type { Answer, ResolverLine } from '../companions/resolver-line.js'
import type { Daemon } from '../wire/daemon.js'
import { isDots, namesIn } from '../wire/directory.js'
import type { Query } from './query.js'

/** A daemon may number each of its lives anew. */
const MOST_GENERATIONS = 16
/**
 * bazil counts how often it has given out a nodeid again, and takes that for a generation: so many are tried of a mount that
 * has shown several, and of others. The kernel knows the answer by itself; it takes some microseconds.
 */
const MOST_COUNTED = 4096
const FEW_COUNTED = 64
/** Of the root, what is not among the first is not asked for. */
const MOST_NAMES = 256

export class Generations {
  /** True once this life has given out a nodeid. */
  private hasSeen = false
  /** Who waits until it has been asked what there is; null once that is over. */
  private waiting: (() => void)[] | null = []

  /** @param known those that were seen, the newest first. Outlives the life */
  constructor(readonly known: number[]) {}

  /** This life gave out a nodeid of this generation. */
  saw(generation: number): void {
    this.hasSeen = true
    this.learn(generation)
  }

  learn(generation: number): void {
    const { known } = this
    if (known[0] === generation || known.includes(generation)) return
    known.unshift(generation)
    // Most daemons know none but 0.
    if (known.length > MOST_GENERATIONS) known.splice(-2, 1)
  }

  /**
   * Gives a query those that have become known meanwhile; in the end the first numbers, of which there is nothing to be known.
   * False if it is to be given more once there has been a look at what there is.
   */
  addTo(query: Query): boolean {
    const fresh = (each: number): boolean => !query.generations.includes(each)
    const known = this.known.filter(fresh)
    query.generations.push(...known)
    if (known.length > 0 || query.isCounted) return true
    if (this.waiting !== null) return false
    query.isCounted = true
    const most = this.known.length > 2 ? MOST_COUNTED : FEW_COUNTED
    query.generations.push(...Array.from({ length: most }, (_, i) => i).filter(fresh))
    return true
  }

  /**
   * Looks at what there is, once in a life: what this life says of the first name in the root, and what the kernel has cached
   * of the names there. Of what an application has just gone through nobody else may hold anything. @throws Ended
   */
  look(daemon: Daemon, line: ResolverLine, done: () => void): void {
    if (this.waiting === null) return done()
    this.waiting.push(done)
    if (this.waiting.length > 1) return
    const names = (namesIn(daemon, FUSE_ROOT_ID, 0, MOST_NAMES) ?? []).filter((each) => !isDots(each))
    if (!this.hasSeen) this.askOf(daemon, names[0])
    let left = names.length
    const end = (): void => {
      const waiting = this.waiting ?? []
      this.waiting = null
      for (const go of waiting) go()
    }
    if (left === 0) end()
    for (const name of names) {
      const took = (answer: Answer | null): void => {
        if (answer !== null && answer.result >= 0) this.learn(answer.handle.generation)
        if (--left === 0) end()
      }
      if (!line.childOf(FUSE_ROOT_ID, 0, 0, name, took)) took(null)
    }
  }

  private askOf(daemon: Daemon, name: Buffer | undefined): void {
    const found = name === undefined ? null : daemon.lookup(FUSE_ROOT_ID, 0, name)
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
