// What a folder's listing says of nodeids, entry by entry: in the answers to READDIR and READDIRPLUS.
import { layout } from '../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../fuse/message.js'
import { isDots } from './directory.js'
import type { Translator } from './translator.js'

const dirent = layout('fuse_dirent')
const direntplus = layout('fuse_direntplus')

/** READDIRPLUS: each entry counts as a lookup. */
export function translatePlus(translator: Translator, length: number): void {
  const { nodes, answers } = translator
  const { view, bytes } = translator.wire.reply
  for (let at = OUT_HEADER_SIZE; at + direntplus.$size <= length; ) {
    const nameLength = direntplus.dirent.namelen.get(view, at)
    const nameAt = at + direntplus.$size
    if (nameAt + nameLength > length) return
    const node = at + direntplus.entry_out.nodeid.offset
    const ino = at + direntplus.dirent.ino.offset
    if (isDots(bytes.subarray(nameAt, nameAt + nameLength))) {
      view.setUint32(node, 0, true)
      view.setUint32(node + 4, 0, true)
    } else {
      const [low, high] = [view.getUint32(node, true), view.getUint32(node + 4, true)]
      const slot = answers.giveNode(node, at + direntplus.entry_out.attr.ino.offset)
      if (slot >= 0 && view.getUint32(ino, true) === low && view.getUint32(ino + 4, true) === high) {
        view.setUint32(ino, nodes.kernelLow[slot] ?? 0, true)
        view.setUint32(ino + 4, nodes.kernelHigh[slot] ?? 0, true)
      }
    }
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
