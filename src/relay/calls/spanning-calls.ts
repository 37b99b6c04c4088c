// Calls of applications that began in an earlier life and are not over yet. A rename compares the folders that it found
// first with those that it found last, to see that nothing comes to lie within itself; if one was found in the earlier life
// and the same one again in this, under another nodeid, the kernel does not see that they are one, and the daemon is asked
// for what no daemon is ever asked for (libfuse waits for itself then). Such a rename is told ESTALE, upon which the kernel
// looks up all its names again and sees it; if it has been told so before, what the kernel would have said by itself. That it is
// told at once where the daemon's nodeids prove it (names.ts): looked up again within that rename, a folder below could not be
// moved to where it is found now, which is `ESTALE` once more.
// Source: fs/namei.c, lock_rename and retry_estale in do_renameat2; fs/dcache.c, __d_unalias.
import { layout } from '../../fuse/layout.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { pathsOf } from '../find/paths.js'
import { namesOf } from '../translate/names.js'
import type { Shape } from '../translate/shapes.js'
import type { Translator } from '../translate/translator.js'

const header = layout('fuse_in_header')
const NEWDIR = IN_HEADER_SIZE
const EINVAL = 22
const ENOTEMPTY = 39
const DELETED = ' (deleted)'

export class SpanningCalls {
  private readonly tids = new Set<number>()
  /**
   * Requests that were compared, by the lower half of their ids: what the kernel would have said by itself, as far as the paths
   * tell, or 0.
   */
  private readonly compared = new Map<number, number>()
  /** True once all requests that waited have been read. */
  isOver = false

  constructor(private readonly translator: Translator) {}

  /** A request of this thread's: if it waited for the life to begin, so did its call. */
  meet(tid: number, resent: boolean): void {
    if (resent || !this.isOver) this.tids.add(tid)
  }

  end(): void {
    this.isOver = true
  }

  /** What the kernel would say to a request that was compared; 0 if it would ask. */
  suspicionOf(id: number): number {
    const errno = this.compared.get(id) ?? 0
    this.compared.delete(id)
    return errno
  }

  /**
   * Takes the request in `wire.request` aside if it has to be compared first: the first rename of such a thread.
   * One that is resent is compared by the daemon's nodeids alone.
   * @returns false if it may go on
   */
  takeAside(shape: Shape, tid: number, resent: boolean, length: number): boolean {
    if (this.tids.size === 0 || !shape.isRename || resent || !this.tids.delete(tid)) return false
    const { wire, stale } = this.translator
    const id = header.unique.low(wire.request.view, 0)
    if (this.compared.has(id)) return false
    const request = Buffer.from(wire.request.bytes.subarray(0, length))
    const from = {
      low: request.readUInt32LE(header.nodeid.offset),
      high: request.readUInt32LE(header.nodeid.offset + 4),
    }
    const to = { low: request.readUInt32LE(NEWDIR), high: request.readUInt32LE(NEWDIR + 4) }
    const { names } = namesOf(this.translator, shape, length)
    const [name = '', newName = ''] = names.map((each) => each.toString('latin1'))
    // That is for isOntoItself.
    if (from.low === to.low && from.high === to.high) return false
    return pathsOf(stale, [from, to], ([source, target]) => {
      const areKnown = source !== undefined && target !== undefined
      const isInto = areKnown && isWithin(target, source, name)
      const isOutOf = areKnown && isWithin(source, target, newName)
      this.compared.set(id, isInto ? EINVAL : isOutOf ? ENOTEMPTY : 0)
      stale.goOn(request)
    })
  }
}

/** True if the folder is what has this name in the other one, or lies within; by the paths that the kernel has. */
const isWithin = (folder: string, other: string, name: string): boolean =>
  `${below(folder)}/`.startsWith(`${below(other)}/${name}/`)

const below = (path: string): string => {
  const present = path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path
  return present === '/' ? '' : present
}
