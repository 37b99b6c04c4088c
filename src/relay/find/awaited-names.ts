// Files that are not where the kernel has them, until it is known that their names are not on their way; see names-under-way.ts.
// Nobody else goes on meanwhile, since who looks up the new name would be given another nodeid; unless that may keep the one
// who renames from going on.

import type { DaemonId } from '../ids/known-names.js'
import type { Daemon } from '../wire/daemon.js'
import type { NamesUnderWay } from './names-under-way.js'
import type { Parking } from './parking.js'
import { generationOf, keyOf, keyOfNode, type Query, restart } from './query.js'

/** Who asks for nodeids. */
export interface Search {
  /** What is asked for now: as long as there is something, nobody else goes on. */
  readonly asking: Map<string, Query>
  readonly parking: Parking
  readonly ask: (key: string, query: Query) => void
  /** The same when no rename is under way in the daemon. */
  readonly askInPeace: (key: string, query: Query) => void
  /** Requests that have been served, and have no answer until all is found. */
  readonly held: () => readonly Buffer[]
  /** Nothing is asked for. */
  readonly proceed: () => void
  /** Gives an answer to the kernel. */
  readonly give: (answer: Buffer) => void
}

export class AwaitedNames {
  constructor(
    private readonly search: Search,
    readonly names: NamesUnderWay,
  ) {}

  get count(): number {
    return this.names.size
  }

  has(key: string): boolean {
    return this.names.has(key)
  }

  /**
   * Nothing is there by the path of this: it is asked for again when its name has come.
   * @param statx what the kernel has cached of it
   * @returns false if it was waited for
   */
  await(key: string, query: Query, statx: Buffer): boolean {
    const { asking, parking } = this.search
    if (query.isLate) {
      query.isLate = false
      restart(query)
      this.search.ask(key, query)
      return true
    }
    if (query.awaited === 'over') return false
    asking.delete(key)
    if (query.awaited !== undefined) {
      this.goOnAmongOthers(key, query)
      return true
    }
    query.awaited = 'alone'
    const { low, high } = query
    this.names.await(key, { low, high, generation: generationOf(query) }, statx, {
      parked: () => [...parking.all(), ...this.search.held()],
      isBlocked: () => this.goOnAmongOthers(key, query),
      again: () => {
        query.awaited = 'over'
        query.isLate = asking.has(key)
        if (!query.isLate) this.search.askInPeace(key, query)
        asking.delete(placeOf(key))
      },
    })
    parking.keep((request) => keyOfNode(request) !== key || !this.answer(key, request))
    if (this.names.has(key)) asking.set(placeOf(key), query)
    return true
  }

  /** Takes a request that waits for this nodeid. True if it has been answered, or need not ask for it. */
  take(key: string, request: Buffer): boolean {
    if (this.count === 0) return false
    if (this.answer(key, request)) return true
    if (!this.names.has(key)) return false
    this.search.parking.add(request, key)
    this.names.waitedForBy(key, request)
    return true
  }

  /** Takes a request that waits for the end of the reservation. True if it has been answered. */
  takeAny(request: Buffer): boolean {
    if (this.count === 0) return false
    if (this.answer(keyOfNode(request), request)) return true
    this.search.parking.add(request, null)
    // It may come from the one who has renamed what is waited for: that is looked for again.
    for (const [place, query] of [...this.search.asking]) {
      const key = keyOf(query.low, query.high)
      if (place === placeOf(key) && !this.search.asking.has(key)) this.search.askInPeace(key, query)
    }
    return true
  }

  /** It is known what it is. @throws Ended */
  found(key: string, daemon: Daemon, id: DaemonId): void {
    this.search.asking.delete(placeOf(key))
    this.names.found(key, daemon, id)
  }

  /** It is gone. */
  lost(key: string): void {
    this.search.asking.delete(placeOf(key))
    this.names.forget(key)
  }

  /** The kernel holds it no more: nobody waits for it. */
  forgotten(key: string): void {
    if (this.count === 0) return
    const { asking } = this.search
    for (const place of [key, placeOf(key)]) {
      const query = asking.get(place)
      if (query) query.isOptional = true
    }
    const wasAlone = asking.has(placeOf(key))
    this.lost(key)
    if (wasAlone && asking.size === 0) this.search.proceed()
  }

  private goOnAmongOthers(key: string, query: Query): void {
    const { asking } = this.search
    query.awaited = 'among others'
    asking.delete(placeOf(key))
    if (asking.size === 0) this.search.proceed()
  }

  /** Answers a request that brings the times of what is awaited. False if it is not such a one. */
  private answer(key: string, request: Buffer): boolean {
    const answer = this.names.answerTo(key, request)
    if (answer) this.search.give(answer)
    return answer !== null
  }
}

/** What keeps others from going on. */
const placeOf = (key: string): string => `name of ${key}`
