// Nodeids of earlier lives. A request that names one waits here while the resolver asks the kernel for the path; then the
// path is looked up in the new life, name by name, and the request goes on. What is found there must be the same file.
//
// A life may have renamed or removed a name and died before it said so. The kernel's paths are then those of before, and
// could lead to another file: these requests, which are sent again, go first, one after the other, and nothing else is served
// until they are settled, nor anything believed that the inode number does not prove. The kernel is told when all is found.
import { FUSE_ROOT_ID } from '../../fuse/flags.js'
import type { ResolverLine } from '../companions/resolver-line.js'
import type { DaemonId } from '../ids/known-names.js'
import { Memory } from '../memory.js'
import { UnheardMoves } from '../resent/unheard-moves.js'
import type { Translator } from '../translate/translator.js'
import type { Daemon } from '../wire/daemon.js'
import { AwaitedNames } from './awaited-names.js'
import { Belongings } from './belongings.js'
import { Generations } from './generations.js'
import { findCertain, findFile, forgetAll, isFolder, isOfNoName, type Known, type Same } from './identity.js'
import { removeLeavings } from './kept-open.js'
import { NamesUnderWay } from './names-under-way.js'
import { carriesHandle, Parking } from './parking.js'
import { type PinnedNode, pinnedNames, pinnedQueries } from './pinned-nodes.js'
import { generationOf, keyOf, type Query, queryFor, restart, uniqueOf } from './query.js'

/** The kernel may have a removed name for an instant longer than its daemon. */
const MOST_LOOKS = 20

export class Stale {
  private translator: Translator | undefined
  private readonly parking = new Parking()
  /** What is asked for now. */
  readonly asking = new Map<string, Query>()
  /** Those that the kernel may still hold and that this life knows nothing of. */
  readonly lost = new Map<string, { low: number; high: number }>()
  readonly generations: Generations
  readonly belongings: Belongings
  readonly moves = new UnheardMoves(() => this.mountpoint)
  readonly awaited: AwaitedNames
  /** When a nodeid of an earlier life came up last of which this life knew nothing. */
  metAt = performance.now()
  /** Questions for when no rename is under way. */
  private delayed: (() => void)[] = []
  /** True until the requests that were sent again have all been read; those that move something are among the parked. */
  isGathering = false
  /** True while only what is certain counts, since moves are still to be settled. */
  private isTentative = false
  /** True if whatever is open is among the pins: then what is not can be removed. */
  seesAll = true
  private hasTried = false
  /** What was not found while moves were still to be settled: asked for again afterwards. */
  private readonly again = new Map<string, Query>()
  private pins: ReadonlyMap<string, Query> = new Map()
  private isOpening = false
  /** The inode number of the root, as the kernel has cached it, until it has been compared. */
  private rootIno: bigint | null = null
  /** True while it is still looked for what applications hold on to. */
  private isScanning = false
  private onPinned: (() => void) | undefined
  /** Where the mount is for others than the resolver. */
  private readonly outside: Buffer

  constructor(
    readonly line: ResolverLine,
    private mountpoint: Buffer,
    readonly memory = new Memory(),
  ) {
    this.outside = mountpoint
    this.generations = new Generations(memory.generations)
    this.belongings = new Belongings(memory)
    this.awaited = new AwaitedNames(
      {
        asking: this.asking,
        parking: this.parking,
        ask: (key, query) => this.ask(key, query),
        askInPeace: (key, query) => this.askInPeace(key, query),
        held: () => this.moves.held,
        proceed: () => this.proceed(),
        give: (answer) => this.translator?.wire.give(answer),
      },
      new NamesUnderWay(line, memory.times, () => this.translator?.surroundings.callHelpers()),
    )
  }

  attach(translator: Translator): void {
    this.translator = translator
  }

  get parkedCount(): number {
    return this.parking.count
  }

  /** Nodeids of earlier lives that nobody has found out yet. */
  get unresolved(): number {
    return this.asking.size + this.again.size + this.awaited.count + this.lost.size
  }

  get hasReady(): boolean {
    return this.parking.hasReady
  }

  /**
   * Opens the mount's root in the resolver, then finds all that is pinned; `done` is called when that is over.
   * @param pins null if they are still looked for: see `know`
   */
  begin(pins: readonly PinnedNode[] | null, done: () => void): void {
    this.onPinned = done
    this.isGathering = true
    this.isOpening = true
    this.isScanning = true
    if (pins !== null) this.know(pins)
    this.line.open(this.mountpoint, (answer) => {
      this.rootIno = answer?.known?.ino ?? null
      if (answer !== null && answer.result >= 0) this.mountpoint = answer.path
      else if (answer !== null) this.line.close()
      this.isOpening = false
      this.proceed()
    })
  }

  /** What applications hold on to. */
  know(pins: readonly PinnedNode[]): void {
    this.isScanning = false
    for (const { generation } of pins) this.generations.learn(generation)
    for (const { low, high, isOpen } of pins) if (isOpen) this.translator?.keptOpen.opened(low, high)
    this.pins = pinnedQueries(pins, this.memory)
    this.translator?.ahead.plan(pinnedNames(pins, this.outside))
    for (const key of this.again.keys()) {
      const pinned = this.pins.get(key)
      if (pinned) this.again.set(key, pinned)
    }
    if (this.asking.size === 0) this.proceed()
  }

  /**
   * True while what is pinned is not known and nothing is to be moved: then what neither gives a nodeid out nor takes a name
   * away goes on, and a pause is as long as the daemon takes to start, however many processes the machine has.
   */
  get letsEarly(): boolean {
    const isWaiting = this.onPinned !== undefined && !this.isGathering && !this.isTentative
    return isWaiting && !this.parking.hasMove && !this.parking.hasReadyMove
  }

  /** This life gave out a nodeid of this generation. */
  saw(generation: number): void {
    this.generations.saw(generation)
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
    this.isScanning = false
    this.pinned()
    if (this.asking.size === 0) this.proceed()
  }

  /** Keeps a request until this nodeid is known. False if it can't be: the file is gone. */
  parkFor(low: number, high: number, bytes: Uint8Array, length: number): boolean {
    const key = keyOf(low, high)
    this.metAt = performance.now()
    if (this.lost.has(key)) return false
    const request = Buffer.from(bytes.subarray(0, length))
    if (this.awaited.take(key, request)) return true
    this.parking.add(request, key)
    if (this.asking.has(key) || this.again.has(key)) return true
    this.askInPeace(key, queryFor(low, high, this.generations.known))
    return true
  }

  /**
   * Keeps a request that closes a file of which this life knows nothing, until it is known whether an earlier life has hidden
   * it: then it goes with the name that it was given. False if that can't be known.
   */
  parkClose(low: number, high: number, bytes: Uint8Array, length: number): boolean {
    const key = keyOf(low, high)
    if (!this.line.isOpen || this.lost.has(key) || this.asking.has(key) || this.awaited.has(key)) return false
    const request = Buffer.from(bytes.subarray(0, length))
    this.generations.askWithEach(
      (generation, took) => this.line.resolve(low, high, generation, took),
      (answer) => {
        const isRemoved = answer?.known?.links === 0
        if (!answer || !isRemoved || !isOfNoName(answer.path)) {
          // Where the kernel has forgotten the folder as well, it is looked for in all that are in use.
          if (isRemoved && this.translator) this.belongings.removeFrom(this.translator, low, answer.known)
          if (answer || !this.isScanning) return this.translator?.refuse(...uniqueOf(request), 0)
        }
        this.parking.add(request, key)
        if (this.asking.has(key)) return
        const query = queryFor(low, high, this.generations.known)
        query.isOptional = true
        this.askInPeace(key, query)
      },
    )
    return true
  }

  /** A path is only worth something while nothing is renamed: until it is found, no other request goes on. */
  private askInPeace(key: string, query: Query): void {
    restart(query)
    this.asking.set(key, query)
    if (this.translator) this.translator.isReserved = true
    this.delayed.push(() => this.ask(key, query))
  }

  /** Lets a request go on that had been taken aside. */
  goOn(request: Buffer): void {
    this.parking.goOn(request)
  }

  /** Keeps a request until the reservation ends. */
  park(bytes: Uint8Array, length: number): void {
    const request = Buffer.from(bytes.subarray(0, length))
    if (!this.awaited.takeAny(request)) this.parking.add(request, null)
  }

  /** Ends the wait of a request that is interrupted. False if it is not here. */
  unpark(uniqueLow: number, uniqueHigh: number): boolean {
    return this.parking.take(uniqueLow, uniqueHigh)
  }

  /** Asks what had to wait until no rename was under way. @throws Ended */
  askDelayed(): void {
    if (this.delayed.length === 0 || this.isOpening || this.translator?.pending.moves !== 0) return
    const { delayed } = this
    this.delayed = []
    for (const ask of delayed) ask()
  }

  /** Lets all go on that waited for the end of the reservation. */
  release(): void {
    this.parking.let(null)
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
    this.awaited.forgotten(keyOf(low, high))
  }

  /** The kernel forgot lookups of a nodeid. @throws Ended */
  left(low: number, high: number): void {
    if (this.translator) this.belongings.left(this.translator, low, high)
  }

  /** Hands one request that has become possible to the translator. @throws Ended */
  redo(): void {
    const bytes = this.parking.next()
    if (!bytes || !this.translator) return
    const { wire } = this.translator
    wire.put(bytes)
    const { isMove, end } = this.moves.begin(bytes, this.onPinned !== undefined)
    this.translator.fromKernel(bytes.length)
    wire.flush()
    end()
    if (!isMove || this.asking.size > 0) return
    this.moves.settled++
    this.proceed()
  }

  private ask(key: string, query: Query): void {
    if (query.path !== null && !this.line.isOpen) return this.found(key, query, query.path, null)
    // Without the resolver, what is pinned comes with its path.
    if (!this.line.isOpen && this.isScanning) return this.askAgain(key, query)
    if (query.tried === query.generations.length && this.line.isOpen) {
      // What is pinned tells which generations there are; the first life's are not known yet.
      if (this.isScanning) return this.askAgain(key, query)
      const { daemon } = this.translator ?? {}
      if (!this.generations.addTo(query) && daemon)
        return this.generations.look(daemon, this.line, () => this.ask(key, query))
    }
    const generation = query.generations[query.tried++]
    if (generation === undefined || !this.line.isOpen) return this.fail(key, query)
    const asked = this.line.resolve(query.low, query.high, generation, (answer) => {
      if (answer !== null && answer.result >= 0) this.found(key, query, answer.path, answer.known, answer.statx)
      else if (answer === null && query.path !== null) this.found(key, query, query.path, null)
      else if (query.isNotHeld) this.fail(key, query)
      else this.ask(key, query)
    })
    if (!asked) this.fail(key, query)
  }

  /** The kernel looks for a nodeid itself since it does not hold it: no other generation need be tried. */
  isNotHeld(low: number, high: number): void {
    const query = this.asking.get(keyOf(low, high))
    if (query) query.isNotHeld = true
  }

  private found(key: string, query: Query, path: Buffer, known: Known | null, statx?: Buffer): void {
    const { translator } = this
    if (!translator) return
    const { nodes } = translator
    const slot = nodes.ofKernel(query.low, query.high)
    const isDoubtful = slot >= 0 && nodes.doubtful[slot] !== 0
    if (isDoubtful && isOfNoName(path)) return this.keep(key, slot, 0)
    if (this.onPinned) this.moves.learn(key, path)
    const id = { ...query, hiddenAs: this.memory.hiddenAs.get(key) ?? query.low }
    const now = this.moves.present(path)
    this.compareRoot(translator.daemon)
    if (this.parking.hasMove) translator.ahead.drop()
    else translator.ahead.prepare(key)
    const found = this.isTentative
      ? findCertain(translator, this.mountpoint, path, id, known, this.memory.evidence)
      : findFile(translator, this.mountpoint, now, id, known, this.memory.evidence)
    if (found) return this.take(key, query, found, known)
    if (this.isTentative) return this.askAgain(key, query)
    // The name it should be found by may have been moved away from it, or one above.
    if (query.missedAt < this.moves.settled && this.parking.hasMove) {
      query.missedAt = this.moves.settled
      return this.askAgain(key, query)
    }
    // The kernel is just taking its last name away.
    if (isDoubtful && known?.links === 0) return this.keep(key, slot, 0)
    const isAwaited = statx && known && !isOfNoName(now) && this.awaited.await(key, query, statx)
    if (!isAwaited) this.fail(key, query)
  }

  /**
   * It stays what this life knows it as: no name was found by which the daemon could know it better.
   * @param looks how often that is looked for from now on
   */
  private keep(key: string, slot: number, looks: number): void {
    const { nodes, daemon } = this.translator ?? {}
    if (!nodes || !daemon) return
    nodes.doubtful[slot] = looks
    this.awaited.found(key, daemon, { low: nodes.daemonLow[slot] ?? 0, high: nodes.daemonHigh[slot] ?? 0 })
    this.settled(key)
  }

  /** The root is the one file that is certainly the same: whether it has kept its inode number tells it of the others. */
  private compareRoot(daemon: Daemon): void {
    const { rootIno, memory } = this
    this.rootIno = null
    if (rootIno === null || rootIno === BigInt(FUSE_ROOT_ID) || memory.evidence.matches > 0) return
    if (daemon.inodeOf(FUSE_ROOT_ID, 0) === rootIno) memory.evidence.matches++
  }

  /** It is this file of the daemon's. */
  private take(key: string, query: Query, found: Same, known: Known | null): void {
    const { translator, belongings } = this
    if (!translator) return
    const { nodes, daemon } = translator
    const generation = generationOf(query)
    // The request that waits may itself have been the reason that it is known by now.
    const present = nodes.ofKernel(query.low, query.high)
    const isAFolder = known !== null && isFolder(known)
    if (present < 0 && !isAFolder && nodes.ofDaemon(found.low, found.high) >= 0 && this.mayBeLookedUpAnew(key)) {
      forgetAll(daemon, [...found.above, found])
      this.lost.set(key, { low: query.low, high: query.high })
      return this.settled(key)
    }
    if (present < 0) {
      nodes.adopt(query.low, query.high, found.low, found.high, generation)
      belongings.addAbove(key, found.above)
      this.askAbove(key, query, generation)
    } else if (nodes.doubtful[present] && nodes.isDaemons(present, found.low, found.high)) {
      nodes.keep(present)
      belongings.addAbove(key, found.above)
    } else forgetAll(daemon, [...found.above, found])
    if (present >= 0) nodes.doubtful[present] = 0
    this.awaited.found(key, daemon, found)
    if (found.hidden) belongings.addHidden(key, found.hidden)
    if (isAFolder) belongings.addModified(key, known.mtime)
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
          const query = queryFor(handle.low, handle.high, [handle.generation])
          query.tried = 1
          this.asking.set(above, query)
          return this.found(above, query, path, known)
        }
      }
      if (this.asking.size === 0) this.proceed()
    })
    if (asked) this.asking.set(place, queryFor(low, high, [generation]))
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
    const waiting = this.parking.waitingFor(key)
    const areByName = this.onPinned === undefined && waiting.length > 0 && !waiting.some(carriesHandle)
    return areByName && this.memory.retries.mayTell(waiting)
  }

  private fail(key: string, query: Query): void {
    const { nodes } = this.translator ?? {}
    const slot = nodes?.ofKernel(query.low, query.high) ?? -1
    if (nodes && slot >= 0) return this.keep(key, slot, Math.max(0, (nodes.doubtful[slot] ?? 0) - 1))
    this.lost.set(key, { low: query.low, high: query.high })
    this.awaited.lost(key)
    if (!query.isOptional) this.translator?.surroundings.report('a file of an earlier life is gone', { nodeid: key })
    this.settled(key)
  }

  private settled(key: string): void {
    this.asking.delete(key)
    this.parking.let(key)
    if (this.asking.size === 0) this.proceed()
  }

  /**
   * Nothing is asked at present: the next move, before the first what is certain in spite of it; what was not found before,
   * what is pinned, what requests that wait are about, and then the end of it.
   */
  private proceed(): void {
    if (this.letsEarly) this.parking.letEarly()
    if (this.isGathering || this.isOpening || !this.translator || this.parking.hasReadyMove) return
    if (this.isScanning) return
    this.isTentative = !this.hasTried && this.line.isOpen && this.parking.hasMove
    this.hasTried = true
    if (this.isTentative && this.askAll(this.takePins())) return
    this.isTentative = false
    // What waits for a nodeid does so until that is found.
    if (this.parking.letMove((key) => this.again.has(key))) return
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
    // What has been asked for before may be known by now.
    const nodes = this.translator?.nodes
    return new Map([...pins].filter(([, { low, high }]) => (nodes?.ofKernel(low, high) ?? -1) < 0))
  }

  /** False if there is nothing to be asked for. */
  private askAll(queries: ReadonlyMap<string, Query>): boolean {
    for (const [key, query] of queries) {
      restart(query)
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
    for (const [key, { low, high }] of this.parking.nodes()) {
      const isKnown = this.translator !== undefined && this.translator.nodes.ofKernel(low, high) >= 0
      if (isKnown || this.lost.has(key) || this.awaited.has(key)) continue
      queries.set(key, queryFor(low, high, this.generations.known))
    }
    return queries
  }

  private pinned(): void {
    const done = this.onPinned
    this.onPinned = undefined
    this.translator?.ahead.drop()
    if (this.translator && this.seesAll) {
      removeLeavings(this.translator.daemon, this.translator.nodes, this.memory.leavings)
      this.belongings.removeLeft(this.translator)
    }
    for (const answer of this.moves.tell()) this.translator?.wire.give(answer)
    done?.()
  }
}
