// Moves that were sent again, until the kernel hears of them: which is served now, and the answers that are kept back until
// all that is in use has been found. See moves.ts.
import { layout } from '../../fuse/layout.js'
import { isOfNoName } from '../find/identity.js'
import { keyOf } from '../find/query.js'
import { isMove, Moves } from './moves.js'

const header = layout('fuse_in_header')
const outHeader = layout('fuse_out_header')

export class UnheardMoves {
  /** How many have been settled. */
  settled = 0
  /** True while one is served in spite of the reservation. */
  isServing = false
  private served: Buffer | null = null
  private moves = new Moves()
  private readonly keptBack: { readonly request: Buffer; readonly answer: Buffer }[] = []
  /** What the kernel has as the paths of nodeids, before the moves. By kernel's id. */
  private readonly paths = new Map<string, Buffer>()

  /** @param mountpoint the path of the root, which may change */
  constructor(private readonly mountpoint: () => Buffer) {}

  /**
   * A request is about to be served.
   * @param isHeld true if its answer is not for the kernel yet
   */
  begin(request: Buffer, isHeld: boolean): { readonly isMove: boolean; readonly end: () => void } {
    this.isServing = isMove(request)
    this.served = this.isServing && isHeld ? request : null
    const answers = this.keptBack.length
    return {
      isMove: this.isServing,
      end: () => {
        this.isServing = false
        this.served = null
        if (this.keptBack[answers]?.answer.readInt32LE(outHeader.error.offset) !== 0) return
        this.moves.add(request, (low, high) => this.pathBefore(low, high))
      },
    }
  }

  /** Keeps an answer back that the kernel is not to see yet. False if it is not such a one. */
  keepBack(message: Uint8Array, uniqueLow: number, uniqueHigh: number): boolean {
    const { served } = this
    const isIts =
      served?.readUInt32LE(header.unique.offset) === uniqueLow &&
      served.readUInt32LE(header.unique.offset + 4) === uniqueHigh
    if (isIts) this.keptBack.push({ request: served, answer: Buffer.from(message) })
    return isIts
  }

  /** The requests whose answers are kept back: who sent them has the locks of the folders. */
  get held(): Buffer[] {
    return this.keptBack.map(({ request }) => request)
  }

  /** What the kernel has as the path of a nodeid. */
  learn(key: string, path: Buffer): void {
    this.paths.set(key, path)
  }

  /** Where that is now which the kernel has by this path. */
  present(path: Buffer): Buffer {
    return this.moves.present(path)
  }

  /** The kernel may hear of all of them: their answers. */
  *tell(): Iterable<Buffer> {
    this.paths.clear()
    this.moves = new Moves()
    for (const { answer } of this.keptBack.splice(0)) yield answer
  }

  private pathBefore(low: number, high: number): Buffer | undefined {
    const path = low === 1 && high === 0 ? this.mountpoint() : this.paths.get(keyOf(low, high))
    return path && !isOfNoName(path) ? path : undefined
  }
}
