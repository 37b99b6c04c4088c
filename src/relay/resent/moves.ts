// What moved, as long as the kernel does not know of it. A move that was sent again is carried out before anything is looked
// up, and its answer kept back until all that is in use has been found: until then every path that the kernel tells is
// certainly the one of before, and what the daemon has is certainly what came after. Otherwise who waits for the answer
// may or may not have told the kernel's names yet, and a file would be looked for by a name that it has no more.
import { FUSE_UNIQUE_RESEND_HIGH } from '../../fuse/flags.js'
import { layout } from '../../fuse/layout.js'
import { opcodes } from '../../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { DELETED, isOfNoName } from '../find/identity.js'
import { shapeOf } from '../translate/shapes.js'

const header = layout('fuse_in_header')
const rename2In = layout('fuse_rename2_in')
const RENAME_EXCHANGE = 2
const SLASH = Buffer.from('/')

/** What was by the one path is by the other now, or by none. */
type Change = readonly [from: Buffer, to: Buffer | null]

/** True of a request that was sent again and may have changed a path already. */
export const isMove = (request: Buffer): boolean =>
  request.readUInt32LE(header.unique.offset + 4) >= FUSE_UNIQUE_RESEND_HIGH &&
  shapeOf(request.readUInt32LE(header.opcode.offset)).takesNames

export class Moves {
  private readonly made: (readonly Change[])[] = []

  /**
   * A move has been carried out.
   * @param request as the kernel sent it
   * @param pathOf the path of a folder of the kernel's, before all moves; undefined if it has none
   */
  add(request: Buffer, pathOf: (low: number, high: number) => Buffer | undefined): void {
    const opcode = request.readUInt32LE(header.opcode.offset)
    const { nameAt, isRename } = shapeOf(opcode)
    const folder = (at: number): Buffer | undefined => pathOf(request.readUInt32LE(at), request.readUInt32LE(at + 4))
    const [name, newName] = namesFrom(request, nameAt)
    const from = joined(folder(header.nodeid.offset), name)
    if (!isRename) {
      if (from) this.made.push([[from, null]])
      return
    }
    const to = joined(folder(IN_HEADER_SIZE), newName)
    const isExchange =
      opcode === opcodes.RENAME2.number &&
      (request.readUInt32LE(IN_HEADER_SIZE + rename2In.flags.offset) & RENAME_EXCHANGE) !== 0
    const changes: Change[] = []
    if (from) changes.push([from, to ?? null])
    if (to) changes.push([to, isExchange ? (from ?? null) : null])
    if (changes.length > 0) this.made.push(changes)
  }

  /** Where that is now which the kernel has by this path: in its words, a removed file is `(deleted)`. */
  present(path: Buffer): Buffer {
    if (this.made.length === 0) return path
    let isGone = isOfNoName(path)
    let at = isGone ? path.subarray(0, -DELETED.length) : path
    const left = new Set(this.made)
    for (;;) {
      // Each one has changed one name of the path: the last of them first, so that those before it are as they were.
      let deepest: Change | undefined
      let its: readonly Change[] | undefined
      for (const move of left)
        for (const change of move)
          if (isWithin(at, change[0]) && !(deepest && deepest[0].length >= change[0].length)) {
            deepest = change
            its = move
          }
      if (!deepest || !its) return isGone ? Buffer.concat([at, DELETED]) : at
      left.delete(its)
      const [from, to] = deepest
      if (to === null) isGone = true
      // What has no name keeps the one that it had.
      else if (!isGone || at.length > from.length) at = Buffer.concat([to, at.subarray(from.length)])
    }
  }
}

const isWithin = (path: Buffer, folder: Buffer): boolean =>
  path.subarray(0, folder.length).equals(folder) && (path.length === folder.length || path[folder.length] === SLASH[0])

const joined = (folder: Buffer | undefined, name: Buffer | undefined): Buffer | undefined =>
  folder && name && Buffer.concat(folder.equals(SLASH) ? [folder, name] : [folder, SLASH, name])

function namesFrom(request: Buffer, from: number): Buffer[] {
  const names: Buffer[] = []
  for (let at = from; at < request.length; ) {
    const nul = request.indexOf(0, at)
    const end = nul < 0 ? request.length : nul
    names.push(request.subarray(at, end))
    at = end + 1
  }
  return names
}
