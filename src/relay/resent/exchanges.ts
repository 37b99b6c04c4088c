// Exchanges of two names that were sent again. Done twice they are undone, and both names are there before and after: whether
// one was done is told by the inode numbers. The kernel has cached what each name was when it asked for the exchange (it holds
// on to both until it is answered), the daemon says what each name is.
import { layout } from '../../fuse/layout.js'
import { opcodes } from '../../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { isNumbered } from '../find/identity.js'
import { cachedOf } from '../find/paths.js'
import { namesOf } from '../translate/names.js'
import type { Shape } from '../translate/shapes.js'
import type { Translator } from '../translate/translator.js'
import type { Found } from '../wire/daemon.js'

const header = layout('fuse_in_header')
const rename2In = layout('fuse_rename2_in')
const S_IFMT = 0o170000
const RENAME_EXCHANGE = 2
const RENAME2 = opcodes.RENAME2.number

/** True of a RENAME2 that exchanges. */
export const isExchange = (request: DataView): boolean =>
  header.opcode.get(request, 0) === RENAME2 && (rename2In.flags.get(request, IN_HEADER_SIZE) & RENAME_EXCHANGE) !== 0

/** What the kernel has cached of what has a name; null if that is not known. */
interface Cached {
  readonly mode: number
  /** Null if it says nothing. */
  readonly ino: bigint | null
}

export class Exchanges {
  /** What has been found out of requests that may go on, by the lower half of their ids. */
  private readonly cached = new Map<number, readonly (Cached | null)[]>()

  constructor(private readonly translator: Translator) {}

  /**
   * Takes the request in `wire.request`, which was sent again, aside until it is known what the kernel has cached.
   * @returns false if it may go on
   */
  takeAside(shape: Shape, length: number): boolean {
    const { wire, stale } = this.translator
    const { view } = wire.request
    if (!isExchange(view) || this.cached.has(header.unique.low(view, 0))) return false
    const request = Buffer.from(wire.request.bytes.subarray(0, length))
    const id = header.unique.low(view, 0)
    const { names } = namesOf(this.translator, shape, length)
    const folders = [header.nodeid.offset, IN_HEADER_SIZE].map((at) => ({
      low: request.readUInt32LE(at),
      high: request.readUInt32LE(at + 4),
    }))
    const both: (Cached | null)[] = [null, null]
    let left = folders.length
    for (const [i, folder] of folders.entries()) {
      const name = names[i] ?? Buffer.alloc(0)
      cachedOf(stale, `name ${i} of ${id}`, folder, name, (known, handle) => {
        if (known) both[i] = { mode: known.mode, ino: isNumbered(known, handle) ? null : known.ino }
        if (--left > 0) return
        this.cached.set(id, both)
        stale.goOn(request)
      })
    }
    return true
  }

  /**
   * Whether an exchange that was taken aside was done before.
   * @param id the lower half of its own
   * @param found what its names are now
   */
  outcome(id: number, [first, second]: readonly (Found | null)[]): 'done' | 'not done' | 'unknown' {
    const [one = null, two = null] = this.cached.get(id) ?? []
    this.cached.delete(id)
    if (!first || !second) return 'unknown'
    const isAsBefore = isIt(first, one) && isIt(second, two)
    const isExchanged = isIt(first, two) && isIt(second, one)
    if (isAsBefore === isExchanged) return 'unknown'
    return isExchanged ? 'done' : 'not done'
  }
}

/** True unless what is known says otherwise. */
const isIt = ({ mode, ino }: Found, cached: Cached | null): boolean =>
  cached === null || ((mode & S_IFMT) === (cached.mode & S_IFMT) && (cached.ino === null || cached.ino === ino))
