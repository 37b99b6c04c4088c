// What the kernel has cached of a file, from the struct statx that it shows to the struct fuse_attr that it is told.
// Source: statx(2); include/uapi/linux/stat.h.
import { layout, sizeOf } from '../../fuse/layout.js'

const attr = layout('fuse_attr')
const MINOR_BITS = 20

/** @returns a struct fuse_attr */
export function attributesFrom(statx: Buffer): Buffer {
  const out = Buffer.alloc(sizeOf('fuse_attr'))
  const view = new DataView(out.buffer, out.byteOffset, out.length)
  const [word, wide] = [(at: number) => statx.readUInt32LE(at), (at: number) => statx.readBigUInt64LE(at)]
  attr.ino.set(view, 0, wide(32))
  attr.size.set(view, 0, wide(40))
  attr.blocks.set(view, 0, wide(48))
  attr.atime.set(view, 0, wide(64))
  attr.mtime.set(view, 0, wide(112))
  attr.ctime.set(view, 0, wide(96))
  attr.atimensec.set(view, 0, word(72))
  attr.mtimensec.set(view, 0, word(120))
  attr.ctimensec.set(view, 0, word(104))
  attr.mode.set(view, 0, statx.readUInt16LE(28))
  attr.nlink.set(view, 0, word(16))
  attr.uid.set(view, 0, word(20))
  attr.gid.set(view, 0, word(24))
  attr.rdev.set(view, 0, (word(128) << MINOR_BITS) | word(132))
  attr.blksize.set(view, 0, word(4))
  return out
}
