// What a folder's listing says of nodeids, entry by entry: in the answers to READDIR and READDIRPLUS.
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import type { Block } from '../../native/memory.js'
import { isDots } from '../wire/directory.js'
import type { Shape } from './shapes.js'
import type { Translator } from './translator.js'

const dirent = layout('fuse_dirent')
const direntplus = layout('fuse_direntplus')

const NODE = direntplus.entry_out.nodeid.offset

/** READDIRPLUS: each entry counts as a lookup. */
export function translatePlus(translator: Translator, length: number): void {
  const { nodes, answers, wire } = translator
  const { view } = wire.reply
  eachOf(wire.reply, length, (at, isDotted) => {
    const node = at + NODE
    const ino = at + direntplus.dirent.ino.offset
    if (isDotted) {
      view.setUint32(node, 0, true)
      view.setUint32(node + 4, 0, true)
      return
    }
    const [low, high] = [view.getUint32(node, true), view.getUint32(node + 4, true)]
    const slot = answers.giveNode(node, at + direntplus.entry_out.attr.ino.offset)
    if (slot >= 0 && view.getUint32(ino, true) === low && view.getUint32(ino + 4, true) === high) {
      view.setUint32(ino, nodes.kernelLow[slot] ?? 0, true)
      view.setUint32(ino + 4, nodes.kernelHigh[slot] ?? 0, true)
    }
  })
}

/** Where the nodeids stand that count as looked up by an answer to READDIRPLUS. */
export function plusNodes(reply: Block, length: number): number[] {
  const places: number[] = []
  eachOf(reply, length, (at, isDotted) => {
    if (!isDotted) places.push(at + NODE)
  })
  return places
}

/** Where the nodeids stand that an answer of this shape gives out. */
export const givenNodes = (shape: Shape, reply: Block, length: number): number[] =>
  shape.dirents === 'fuse_direntplus' ? plusNodes(reply, length) : [shape.outNode]

/** Tells where each entry begins, and whether it is `.` or `..`. */
function eachOf({ view, bytes }: Block, length: number, take: (at: number, isDotted: boolean) => void): void {
  for (let at = OUT_HEADER_SIZE; at + direntplus.$size <= length; ) {
    const nameLength = direntplus.dirent.namelen.get(view, at)
    const nameAt = at + direntplus.$size
    if (nameAt + nameLength > length) return
    take(at, isDots(bytes.subarray(nameAt, nameAt + nameLength)))
    at += (direntplus.$size + nameLength + 7) & ~7
  }
}

/** READDIR, where inode numbers are nodeids. */
export function translateDirents(translator: Translator, length: number): void {
  const { nodes } = translator
  const { view } = translator.wire.reply
  for (let at = OUT_HEADER_SIZE; at + dirent.$size <= length; ) {
    const slot = nodes.ofDaemon(dirent.ino.low(view, at), dirent.ino.high(view, at))
    if (slot >= 0) dirent.ino.setHalves(view, at, nodes.kernelLow[slot] ?? 0, nodes.kernelHigh[slot] ?? 0)
    at += (dirent.$size + dirent.namelen.get(view, at) + 7) & ~7
  }
}
