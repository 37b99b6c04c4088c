// Nodeids of earlier lives. A request that names one waits here while the resolver asks the kernel for the path; then the
// path is looked up in the new life, name by name, and the request goes on. What is found there must be the same file.
//
// A life may have renamed or removed a name and died before it said so. The kernel's paths are then those of before, and
// could lead to another file: these requests, which are sent again, go first, one after the other, and nothing else is served
// until they are settled, nor anything believed that the inode number does not prove. The kernel is told when all is found.
import { layout } from '../fuse/layout.js'
import { isDots, namesIn } from './directory.js'
import { findCertain, findFile, forgetAll, isOfNoName, type Known, removeHidden } from './identity.js'
import { removeLeavings } from './kept-open.js'
import type { DaemonId } from './known-names.js'
import { Memory } from './memory.js'
import { isMove, Moves } from './moves.js'
import { NamesUnderWay } from './names-under-way.js'
import type { Answer, ResolverLine } from './resolver-line.js'
import { shapes } from './shapes.js'
import type { Translator } from './translator.js'

const header = layout('fuse_in_header')
const outHeader = layout('fuse_out_header')
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
/** A daemon may number each of its lives anew. */
const MOST_GENERATIONS = 16
/** The kernel may have a removed name for an instant longer than its daemon. */
const MOST_LOOKS = 20
/**
 * bazil counts how often it has given out a nodeid again, and takes that for a generation: so many are tried of a mount that
 * has shown several, and of others. The kernel knows the answer by itself; it takes some microseconds.
 */
const MOST_COUNTED = 4096
const FEW_COUNTED = 64

/** A nodeid that something holds on to, as the scan of processes found it. */
export interface PinnedNode {
  readonly low: number
  readonly high: number
  readonly generation: number
  /** Somebody has it open, and does not only stand in it or watch it. */
  readonly isOpen?: boolean
  /** As the process sees it; for where the resolver can't be had. */
  readonly path: string | null
}

interface Query {
  readonly low: number
  readonly high: number
  /** Generations that it may have, in the order in which they are tried. */
  readonly generations: number[]
  tried: number
  /** True once the first numbers are among them. */
  isCounted?: boolean
  /** How many moves were settled when it was not found. */
  missedAt: number
  /**
   * Its name is waited for, see names-under-way.ts: while nobody else goes on, then while all others do; and it has been.
   */
  awaited?: 'alone' | 'among others' | 'over'
  /** True if the wait came to its end while it was asked for. */
  isLate?: boolean
  /** Nobody can use it by now: it need not be told if it is not there. */
  isOptional?: true
  /** Where it is known without the resolver. */
  readonly path: Buffer | null
}

interface Parked {
  readonly bytes: Buffer
  /** The nodeid it waits for; null if it waits for the end of the reservation. */
  readonly key: string | null
}

export class Stale {
  private translator: Translator | undefined
  private parked: Parked[] = []
  private ready: Buffer[] = []
  private readonly asking = new Map<string, Query>()
  /** Those that the kernel may still hold and that this life knows nothing of. */
  readonly lost = new Map<string, { low: number; high: number }>()
  /** Names that a daemon gave to unlinked open files, to be removed when the kernel forgets them. By kernel's id. */
  private readonly hidden = new Map<string, Buffer[]>()
  /** The folders above what was found, kept as long as that. By kernel's id. */
  private readonly above = new Map<string, readonly DaemonId[]>()
  /** When folders were changed last, as far as the kernel knew before this life, in nanoseconds. By kernel's id. */
  private readonly folders = new Map<string, bigint>()
  /** When a nodeid of an earlier life came up last of which this life knew nothing. */
  metAt = performance.now()
  /** True once it is known what generations this life gives out. */
  private hasSampled = false
  /** Questions for when no rename is under way. */
  private delayed: (() => void)[] = []
  /** True until the requests that were sent again have all been read; those that move something are among the parked. */
  isGathering = false
  /** True while a move that was sent again is served in spite of the reservation. */
  isMoving = false
  private movesSettled = 0
  /** The move that is being served. */
  private move: Buffer | null = null
  private moves = new Moves()
  /** Answers to moves that the kernel is not to see yet. */
  private readonly keptBack: Buffer[] = []
  /** What the kernel has as the paths of nodeids, before the moves. */
  private readonly paths = new Map<string, Buffer>()
  /** True while only what is certain counts, since moves are still to be settled. */
  private isTentative = false
  /** True if whatever is open is among the pins: then what is not can be removed. */
  seesAll = true
  private hasTried = false
  /** What was not found while moves were still to be settled: asked for again afterwards. */
  private readonly again = new Map<string, Query>()
  private pins: ReadonlyMap<string, Query> = new Map()
  private isOpening = false
  private onPinned: (() => void) | undefined
  private readonly evidence = { matches: 0 }
  readonly underWay: NamesUnderWay

  constructor(
    readonly line: ResolverLine,
    private mountpoint: Buffer,
    readonly memory = new Memory(),
  ) {
    this.underWay = new NamesUnderWay(line, memory.times, () => this.translator?.surroundings.callHelpers())
  }

  attach(translator: Translator): void {
    this.translator = translator
  }

  get parkedCount(): number {
    return this.parked.length + this.ready.length
  }

  /** Nodeids of earlier lives that nobody has found out yet. */
  get unresolved(): number {
    return this.asking.size + this.again.size + this.underWay.size + this.lost.size
  }

  get hasReady(): boolean {
    return this.ready.length > 0
  }

  /** Opens the mount's root in the resolver, then finds all that is pinned; `done` is called when that is over. */
  begin(pins: readonly PinnedNode[], done: () => void): void {
    for (const { generation } of pins) this.learn(generation)
    this.onPinned = done
    this.isGathering = true
    this.isOpening = true
    const queries = new Map<string, Query>()
    for (const { low, high, generation, path, isOpen } of pins) {
      if (low === 1 && high === 0) continue
      if (isOpen) this.translator?.keptOpen.opened(low, high)
      const known = path === null ? null : Buffer.from(path)
      queries.set(keyOf(low, high), { low, high, generations: [generation], tried: 0, missedAt: -1, path: known })
    }
    const { generations } = this.memory
    for (const { folder } of this.memory.leavings.values()) {
      const key = keyOf(folder.low, folder.high)
      if ((folder.low === 1 && folder.high === 0) || queries.has(key)) continue
      queries.set(key, { ...folder, generations: [...generations], tried: 0, missedAt: -1, path: null })
    }
    for (const key of this.memory.times.keys()) {
      const [high = 0, low = 0] = key.split(':').map(Number)
      if (!queries.has(key))
        queries.set(key, {
          low,
          high,
          generations: [...generations],
          tried: 0,
          missedAt: -1,
          path: null,
          isOptional: true,
        })
    }
    this.pins = queries
    this.line.open(this.mountpoint, (answer) => {
      if (answer !== null && answer.result >= 0) this.mountpoint = answer.path
      else if (answer !== null) this.line.close()
      this.isOpening = false
      this.proceed()
    })
  }

  /** This life gave out a nodeid of this generation. What the kernel holds can only be asked for by both. */
  saw(generation: number): void {
    this.hasSampled = true
    this.learn(generation)
  }

  private learn(generation: number): void {
    if (this.memory.generations[0] === generation || this.memory.generations.includes(generation)) return
    this.memory.generations.unshift(generation)
    // Most daemons know none but 0.
    if (this.memory.generations.length > MOST_GENERATIONS) this.memory.generations.splice(-2, 1)
  }

  /** All that was sent again has been read: the kernel puts it before what is new. Source: fs/fuse/dev.c, fuse_resend. */
  gathered(): void {
    if (!this.isGathering) return
    this.isGathering = false
    this.proceed()
  }

  /** Goes on without what could not be found out in time. */
  giveUpPins(): void {
    this.isGathering = false
    this.isOpening = false
    this.pinned()
  }

  /** Keeps a request until this nodeid is known. False if it can't be: the file is gone. */
  parkFor(low: number, high: number, bytes: Uint8Array, length: number): boolean {
    const key = keyOf(low, high)
    this.metAt = performance.now()
    if (this.lost.has(key)) return false
    const request = Buffer.from(bytes.subarray(0, length))
    if (this.answerTimes(key, request)) return true
    this.parked.push({ bytes: request, key })
    if (this.asking.has(key) || this.again.has(key)) return true
    if (this.underWay.has(key)) {
      this.underWay.waitedForBy(key, request)
      return true
    }
    const query = { low, high, generations: [...this.memory.generations], tried: 0, missedAt: -1, path: null }
    this.askInPeace(key, query)
    return true
  }

  /** A path is only worth something while nothing is renamed: until it is found, no other request goes on. */
  private askInPeace(key: string, query: Query): void {
    query.tried = 0
    this.asking.set(key, query)
    if (this.translator) this.translator.isReserved = true
    this.delayed.push(() => this.ask(key, query))
  }

  /**
   * Asks for the present paths of nodeids, undefined for what can't be told.
   * @returns false if nobody can be asked
   */
  pathsOf(nodes: readonly { low: number; high: number }[], take: (paths: (string | undefined)[]) => void): boolean {
    if (!this.line.isOpen) return false
    const paths = new Array<string | undefined>(nodes.length).fill(undefined)
    let left = nodes.length
    for (const [i, { low, high }] of nodes.entries())
      this.withGeneration(
        (generation, took) => this.line.resolve(low, high, generation, took),
        (answer) => {
          paths[i] = answer?.path.toString('latin1')
          if (--left === 0) take(paths)
        },
      )
    return true
  }

  /**
   * Asks what the kernel has cached of a name in a folder. Nothing else that was sent again is settled meanwhile.
   * @param place what no other question is called
   */
  askWhileMoving(
    place: string,
    low: number,
    high: number,
    name: Buffer,
    take: (known: Known | null, handle: DaemonId) => void,
  ): void {
    this.asking.set(place, { low, high, generations: [], tried: 0, missedAt: -1, path: null })
    this.withGeneration(
      (generation, took) => this.line.childOf(low, high, generation, name, took),
      (answer) => {
        this.asking.delete(place)
        take(answer?.known ?? null, answer?.handle ?? { low: 0, high: 0 })
      },
    )
  }

  /** Asks about a nodeid with each generation that it may have, until there is an answer; null if there is none. */
  private withGeneration(
    ask: (generation: number, took: (answer: Answer | null) => void) => boolean,
    take: (answer: Answer | null) => void,
  ): void {
    const generations = [...this.memory.generations]
    const next = (): void => {
      const generation = generations.shift()
      if (generation === undefined) return take(null)
      const isAsked = ask(generation, (answer) => (answer !== null && answer.result >= 0 ? take(answer) : next()))
      if (!isAsked) take(null)
    }
    next()
  }

  /** Lets a request go on that had been taken aside. */
  goOn(request: Buffer): void {
    this.ready.push(request)
  }

  /** Keeps a request until the reservation ends. */
  park(bytes: Uint8Array, length: number): void {
    const request = Buffer.from(bytes.subarray(0, length))
    if (this.underWay.size > 0 && this.answerTimes(keyAt(request, header.nodeid.offset), request)) return
    this.parked.push({ bytes: request, key: null })
    if (this.underWay.size > 0) this.lookAgain()
  }

  /** Ends the wait of a request that is interrupted. False if it is not here. */
  unpark(uniqueLow: number, uniqueHigh: number): boolean {
    const at = this.parked.findIndex(
      ({ bytes }) =>
        bytes.readUInt32LE(header.unique.offset) === uniqueLow &&
        bytes.readUInt32LE(header.unique.offset + 4) === uniqueHigh,
    )
    if (at >= 0) this.parked.splice(at, 1)
    return at >= 0
  }

  /** Asks what had to wait until no rename was under way. @throws Ended */
  askDelayed(): void {
    if (this.delayed.length === 0 || this.translator?.pending.moves !== 0) return
    const { delayed } = this
    this.delayed = []
    for (const ask of delayed) ask()
  }

  /** Lets all go on that waited for the end of the reservation. */
  release(): void {
    this.let(null)
  }

  /** When this folder was changed last, as far as the kernel knew before this life; undefined if that is not known. */
  modified(low: number, high: number): bigint | undefined {
    return this.folders.get(keyOf(low, high))
  }

  /** The daemon is to take away the name of what it knows by this id. */
  unnamed(daemonLow: number, daemonHigh: number): void {
    const nodes = this.translator?.nodes
    for (let slot = nodes?.ofDaemon(daemonLow, daemonHigh) ?? -1; nodes && slot >= 0; slot = nodes.nextOf(slot))
      if (nodes.stale[slot])
        this.memory.hiddenAs.set(keyOf(nodes.kernelLow[slot] ?? 0, nodes.kernelHigh[slot] ?? 0), daemonLow)
  }

  /**
   * The daemon has taken away a name of this. What an earlier life gave out it knows by the name that it was found by, and
   * the kernel may have others (`link`): before it is used again, its present name is looked up.
   */
  doubt({ low, high }: DaemonId): void {
    const nodes = this.translator?.nodes
    for (let slot = nodes?.ofDaemon(low, high) ?? -1; nodes && slot >= 0; slot = nodes.nextOf(slot))
      if (nodes.stale[slot]) nodes.doubtful[slot] = MOST_LOOKS
  }

  /** The kernel forgot a nodeid that this life knows nothing of. */
  forgotten(low: number, high: number): void {
    this.metAt = performance.now()
    if (this.memory.hiddenAs.size > 0) this.memory.hiddenAs.delete(keyOf(low, high))
    if (this.lost.size > 0) this.lost.delete(keyOf(low, high))
    if (this.underWay.size > 0) this.forgetUnderWay(keyOf(low, high))
  }

  /** The kernel forgot lookups of a nodeid; if it holds it no more, what was hidden for its sake goes. @throws Ended */
  left(low: number, high: number): void {
    const { hiddenAs } = this.memory
    if (this.translator && this.translator.nodes.ofKernel(low, high) < 0)
      this.translator.keptOpen.close(this.translator.daemon, low, high)
    if (this.hidden.size + this.folders.size + this.above.size + hiddenAs.size === 0 || !this.translator) return
    if (this.translator.nodes.ofKernel(low, high) >= 0) return
    const key = keyOf(low, high)
    hiddenAs.delete(key)
    this.folders.delete(key)
    this.translator.answers.forgetLater(this.above.get(key) ?? [])
    this.above.delete(key)
    const names = this.hidden.get(key)
    if (!names) return
    this.hidden.delete(key)
    removeHidden(this.translator.daemon, names)
  }

  /** Hands one request that has become possible to the translator. @throws Ended */
  redo(): void {
    const bytes = this.ready.shift()
    if (!bytes || !this.translator) return
    const { wire } = this.translator
    wire.put(bytes)
    this.isMoving = isMove(bytes)
    this.move = this.isMoving && this.onPinned ? bytes : null
    const answers = this.keptBack.length
    this.translator.fromKernel(bytes.length)
    wire.flush()
    const wasMove = this.isMoving
    this.isMoving = false
    this.move = null
    const isDone = this.keptBack[answers]?.readInt32LE(outHeader.error.offset) === 0
    if (isDone) this.moves.add(bytes, (low, high) => this.pathBefore(low, high))
    if (!wasMove || this.asking.size > 0) return
    this.movesSettled++
    this.proceed()
  }

  /** Keeps an answer back that the kernel is not to see yet. False if it is not such a one. */
  keepBack(message: Uint8Array, uniqueLow: number, uniqueHigh: number): boolean {
    const { move } = this
    const isIts =
      move?.readUInt32LE(header.unique.offset) === uniqueLow &&
      move.readUInt32LE(header.unique.offset + 4) === uniqueHigh
    if (isIts) this.keptBack.push(Buffer.from(message))
    return isIts
  }

  private pathBefore(low: number, high: number): Buffer | undefined {
    const path = low === 1 && high === 0 ? this.mountpoint : this.paths.get(keyOf(low, high))
    return path && !isOfNoName(path) ? path : undefined
  }

  private ask(key: string, query: Query): void {
    if (query.path !== null && !this.line.isOpen) return this.found(key, query, query.path, null)
    if (query.tried === query.generations.length && this.line.isOpen) this.addGenerations(query)
    const generation = query.generations[query.tried++]
    if (generation === undefined || !this.line.isOpen) return this.fail(key, query)
    const asked = this.line.resolve(query.low, query.high, generation, (answer) => {
      if (answer !== null && answer.result >= 0) this.found(key, query, answer.path, answer.known, answer.statx)
      else if (answer === null && query.path !== null) this.found(key, query, query.path, null)
      else this.ask(key, query)
    })
    if (!asked) this.fail(key, query)
  }

  /** Those that have become known meanwhile, at the latest by what this life says of the first file there is. */
  private addGenerations(query: Query): void {
    const { translator } = this
    if (!this.hasSampled && translator) {
      this.hasSampled = true
      const { daemon } = translator
      const name = namesIn(daemon, 1, 0)?.find((each) => !isDots(each))
      const found = name === undefined ? null : daemon.lookup(1, 0, name)
      if (found !== null && typeof found !== 'number') {
        this.saw(found.generation)
        daemon.forget(found.low, found.high, 1)
      }
    }
    const fresh = (each: number): boolean => !query.generations.includes(each)
    const known = this.memory.generations.filter(fresh)
    if (known.length > 0 || query.isCounted) return void query.generations.push(...known)
    query.isCounted = true
    const most = this.memory.generations.length > 2 ? MOST_COUNTED : FEW_COUNTED
    query.generations.push(...Array.from({ length: most }, (_, i) => i).filter(fresh))
  }

  private found(key: string, query: Query, path: Buffer, known: Known | null, statx?: Buffer): void {
    const { translator } = this
    if (!translator) return
    const { nodes } = translator
    const slot = nodes.ofKernel(query.low, query.high)
    if (slot >= 0 && nodes.doubtful[slot] && isOfNoName(path)) {
      nodes.doubtful[slot] = 0
      return this.settled(key)
    }
    if (this.onPinned) this.paths.set(key, path)
    const id = { ...query, hiddenAs: this.memory.hiddenAs.get(key) ?? query.low }
    const now = this.moves.present(path)
    const found = this.isTentative
      ? findCertain(translator, this.mountpoint, path, id, known, this.evidence)
      : findFile(translator, this.mountpoint, now, id, known, this.evidence)
    if (!found && this.isTentative) return this.askAgain(key, query)
    // The name it should be found by may have been moved away from it, or one above.
    if (!found && query.missedAt < this.movesSettled && this.parked.some(({ bytes }) => isMove(bytes))) {
      query.missedAt = this.movesSettled
      return this.askAgain(key, query)
    }
    if (!found && statx && known && !isOfNoName(path) && this.awaitName(key, query, statx)) return
    if (!found) return this.fail(key, query)
    const generation = query.generations[query.tried - 1] ?? 0
    // The request that waits may itself have been the reason that it is known by now.
    const present = nodes.ofKernel(query.low, query.high)
    const isFolder = known !== null && (known.mode & S_IFMT) === S_IFDIR
    if (present < 0 && !isFolder && nodes.ofDaemon(found.low, found.high) >= 0 && this.mayBeLookedUpAnew(key)) {
      forgetAll(translator.daemon, [...found.above, found])
      this.lost.set(key, { low: query.low, high: query.high })
      return this.settled(key)
    }
    if (present < 0) {
      nodes.adopt(query.low, query.high, found.low, found.high, generation)
      this.above.set(key, found.above)
      this.askAbove(key, query, generation)
    } else if (nodes.doubtful[present] && nodes.isDaemons(present, found.low, found.high)) {
      nodes.keep(present)
      this.above.set(key, [...(this.above.get(key) ?? []), ...found.above])
    } else forgetAll(translator.daemon, [...found.above, found])
    if (present >= 0) nodes.doubtful[present] = 0
    this.asking.delete(waitFor(key))
    this.underWay.found(key, translator.daemon, found)
    if (found.hidden) this.hidden.set(key, found.hidden)
    if (isFolder) this.folders.set(key, known.mtime)
    this.settled(key)
  }

  /**
   * Finds the folder above what is in use: it is in use as well, and has to keep its nodeid. Otherwise the kernel would lose
   * its name: `..` would lead to a folder that counts as removed, the path of an open file would stay behind when its folder
   * is moved, and a call that has looked up one name before the crash and another one after it would be in two trees.
   */
  private askAbove(key: string, { low, high }: Query, generation: number): void {
    const place = `above ${key}`
    const asked = this.line.parentOf(low, high, generation, (answer) => {
      this.asking.delete(place)
      if (answer !== null && answer.result >= 0) {
        const { handle, path, known } = answer
        const above = keyOf(handle.low, handle.high)
        const isKnown = this.translator !== undefined && this.translator.nodes.ofKernel(handle.low, handle.high) >= 0
        if (!isKnown && !this.asking.has(above) && !this.again.has(above) && !this.pins.has(above)) {
          const query = { ...handle, generations: [handle.generation], tried: 1, missedAt: -1, path: null }
          this.asking.set(above, query)
          return this.found(above, query, path, known)
        }
      }
      if (this.asking.size === 0) this.proceed()
    })
    if (asked) this.asking.set(place, { low, high, generations: [generation], tried: 1, missedAt: -1, path: null })
  }

  /**
   * Nothing is there by its path: it is asked for again when whoever may be renaming it has done so. Until then nobody else goes
   * on, since it would be looked up as another file by its new name, unless that may keep the one who renames from going on.
   * @returns false if it was waited for
   */
  private awaitName(key: string, query: Query, statx: Buffer): boolean {
    if (query.isLate) {
      query.isLate = false
      query.tried = 0
      this.ask(key, query)
      return true
    }
    if (query.awaited === 'over') return false
    if (query.awaited === undefined) {
      query.awaited = 'alone'
      const generation = query.generations[query.tried - 1] ?? 0
      this.underWay.await(key, { low: query.low, high: query.high, generation }, statx, {
        parked: () => this.parked.map(({ bytes }) => bytes),
        isBlocked: () => this.awaitAmongOthers(key, query),
        again: () => {
          query.awaited = 'over'
          query.isLate = this.asking.has(key)
          if (!query.isLate) this.askInPeace(key, query)
          this.asking.delete(waitFor(key))
        },
      })
      this.parked = this.parked.filter(
        ({ bytes }) => keyAt(bytes, header.nodeid.offset) !== key || !this.answerTimes(key, bytes),
      )
      if (this.underWay.has(key)) this.asking.set(waitFor(key), query)
      this.asking.delete(key)
    } else {
      this.asking.delete(key)
      this.awaitAmongOthers(key, query)
    }
    return true
  }

  private awaitAmongOthers(key: string, query: Query): void {
    query.awaited = 'among others'
    this.asking.delete(waitFor(key))
    if (this.asking.size === 0) this.proceed()
  }

  /** The kernel holds it no more: nobody waits for it. */
  private forgetUnderWay(key: string): void {
    for (const place of [key, waitFor(key)]) {
      const query = this.asking.get(place)
      if (query) query.isOptional = true
    }
    this.underWay.forget(key)
    if (this.asking.delete(waitFor(key)) && this.asking.size === 0) this.proceed()
  }

  /** Somebody else has come, maybe the one who has renamed what is waited for: its name is looked for again. */
  private lookAgain(): void {
    for (const [place, query] of this.asking) {
      const key = keyOf(query.low, query.high)
      if (place !== waitFor(key) || this.asking.has(key)) continue
      this.askInPeace(key, query)
    }
  }

  /** Answers a request that brings the times of what is awaited. False if it is not such a one. */
  private answerTimes(key: string, request: Buffer): boolean {
    const answer = this.underWay.answerTo(key, request)
    if (answer) this.translator?.wire.give(answer)
    return answer !== null
  }

  private askAgain(key: string, query: Query): void {
    this.again.set(key, query)
    this.asking.delete(key)
    if (this.asking.size === 0) this.proceed()
  }

  /**
   * True if all who wait for this can be told ESTALE: nobody has it open. A file with several names can have got a new nodeid
   * by one of them, while the kernel has another still cached with the old one. Both in use would be two files to the kernel,
   * each with bytes and a size of its own. Whoever is told ESTALE looks all names up again and meets the new one. A folder has
   * no bytes: one that a call has found in an earlier life goes on by its old nodeid.
   */
  private mayBeLookedUpAnew(key: string): boolean {
    const waiting = this.parked.filter((each) => each.key === key).map(({ bytes }) => bytes)
    const areByName = this.onPinned === undefined && waiting.length > 0 && !waiting.some(carriesHandle)
    return areByName && this.memory.retries.mayTell(waiting)
  }

  private fail(key: string, query: Query): void {
    const nodes = this.translator?.nodes
    const slot = nodes?.ofKernel(query.low, query.high) ?? -1
    if (nodes && slot >= 0) {
      if (nodes.doubtful[slot]) nodes.doubtful[slot]--
      return this.settled(key)
    }
    this.lost.set(key, { low: query.low, high: query.high })
    this.underWay.forget(key)
    this.asking.delete(waitFor(key))
    if (!query.isOptional) this.translator?.surroundings.report('a file of an earlier life is gone', { nodeid: key })
    this.settled(key)
  }

  private settled(key: string): void {
    this.asking.delete(key)
    this.let(key)
    if (this.asking.size === 0) this.proceed()
  }

  /**
   * Nothing is asked at present: the next move, before the first what is certain in spite of it; what was not found before,
   * what is pinned, what requests that wait are about, and then the end of it.
   */
  private proceed(): void {
    if (this.isGathering || this.isOpening || !this.translator || this.ready.some(isMove)) return
    this.isTentative = !this.hasTried && this.line.isOpen && this.parked.some(({ bytes }) => isMove(bytes))
    this.hasTried = true
    if (this.isTentative && this.askAll(this.takePins())) return
    this.isTentative = false
    // What waits for a nodeid does so until that is found.
    const move = this.parked.findIndex(({ key, bytes }) => isMove(bytes) && (key === null || !this.again.has(key)))
    const [parked] = move < 0 ? [] : this.parked.splice(move, 1)
    if (parked) {
      this.ready.push(parked.bytes)
      return
    }
    const again = new Map(this.again)
    this.again.clear()
    if (this.askAll(again) || this.askAll(this.takePins()) || (this.onPinned && this.askAll(this.parkedNodes()))) return
    if (this.onPinned) return this.pinned()
    this.translator.isReserved = false
    this.release()
  }

  private takePins(): ReadonlyMap<string, Query> {
    const { pins } = this
    this.pins = new Map()
    return pins
  }

  /** False if there is nothing to be asked for. */
  private askAll(queries: ReadonlyMap<string, Query>): boolean {
    for (const [key, query] of queries) {
      query.tried = 0
      this.asking.set(key, query)
    }
    for (const [key, query] of queries) this.ask(key, query)
    return queries.size > 0
  }

  /**
   * What the requests that wait are about and nobody has open yet: it has to be known as well before a name is looked up,
   * or the kernel would have two inodes of one file.
   */
  private parkedNodes(): Map<string, Query> {
    const queries = new Map<string, Query>()
    for (const { bytes } of this.parked) {
      const shape = shapes[bytes.readUInt32LE(header.opcode.offset)]
      if (!shape?.node || shape.rule.unopened || shape.name === 'NOTIFY_REPLY') continue
      for (const at of [header.nodeid.offset, ...shape.nodes]) {
        const [low, high] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)]
        const key = keyOf(low, high)
        const isKnown = this.translator !== undefined && this.translator.nodes.ofKernel(low, high) >= 0
        if (isKnown || this.lost.has(key) || this.underWay.has(key)) continue
        queries.set(key, { low, high, generations: [...this.memory.generations], tried: 0, missedAt: -1, path: null })
      }
    }
    return queries
  }

  private let(key: string | null): void {
    const rest: Parked[] = []
    for (const each of this.parked) {
      if (each.key === key) this.ready.push(each.bytes)
      else rest.push(each)
    }
    this.parked = rest
  }

  private pinned(): void {
    const done = this.onPinned
    this.onPinned = undefined
    if (this.translator && this.seesAll)
      removeLeavings(this.translator.daemon, this.translator.nodes, this.memory.leavings)
    this.paths.clear()
    this.moves = new Moves()
    for (const answer of this.keptBack.splice(0)) this.translator?.wire.give(answer)
    done?.()
  }
}

function carriesHandle(bytes: Buffer): boolean {
  const shape = shapes[bytes.readUInt32LE(header.opcode.offset)]
  if (!shape) return false
  return shape.handles.some(
    ({ flagsOffset, flag }) => flagsOffset === 0 || (bytes.readUInt32LE(flagsOffset) & flag) !== 0,
  )
}

const keyOf = (low: number, high: number): string => `${high}:${low}`
const waitFor = (key: string): string => `under way ${key}`
const keyAt = (request: Buffer, at: number): string => keyOf(request.readUInt32LE(at), request.readUInt32LE(at + 4))
