// Which pins an earlier life has left behind. A FORGET that it had read and not done is lost: the kernel waits for no
// answer to it. So the kernel is asked whether it still holds the inode, by a notification that changes nothing but makes
// it fetch the attributes anew: it fails with ENOENT if there is no such inode. Source: fuse_reverse_inval_inode() in
// fs/fuse/inode.c.
import { layout } from '../fuse/layout.js'
import { notification, OUT_HEADER_SIZE } from '../fuse/message.js'
import { write } from '../native/files.js'
import { allocate } from '../native/memory.js'
import { ENOENT } from './errno.js'
import type { Mirror } from './mirror.js'

const invalInode = layout('fuse_notify_inval_inode_out')

/** A negative offset leaves the cached pages alone. */
const ATTRIBUTES_ONLY = -1n

/** Unpins every file that the kernel no longer holds. */
export function sweep(mirror: Mirror, channel: number): void {
  if (mirror.folder.pins.size === 0) return
  const message = allocate(OUT_HEADER_SIZE + invalInode.$size)
  notification('FUSE_NOTIFY_INVAL_INODE', Buffer.alloc(invalInode.$size)).copy(message.bytes)
  invalInode.off.set(message.view, OUT_HEADER_SIZE, ATTRIBUTES_ONLY)
  for (const node of [...mirror.folder.pins]) {
    invalInode.ino.setHalves(message.view, OUT_HEADER_SIZE, node.low, node.high)
    if (write(channel, message.address, message.bytes.length) === -ENOENT) mirror.folder.unpin(node)
  }
}
