// Which pins an earlier life has left behind. A FORGET that it had read and not done is lost: the kernel waits for no
// answer to it. So the kernel is asked whether it still holds the inode, by a notification that changes nothing but makes
// it fetch the attributes anew: it fails with ENOENT if there is no such inode. Source: fuse_reverse_inval_inode() in
// fs/fuse/inode.c.
//
// The kernel may wait there for an inode that is just being evicted, and that for pages which we are to write. So the
// question is put by another thread; only the answer "there is none", which cannot wait, is confirmed here.
import { layout } from '../fuse/layout.js'
import { notification, OUT_HEADER_SIZE } from '../fuse/message.js'
import { asyncSyscall, rawSyscall } from '../native/ffi.js'
import { ENOENT } from './errno.js'
import type { Mirror } from './mirror.js'
import type { Node } from './nodes.js'

/** Unpins every file that the kernel no longer holds. Resolves when all have been asked for. */
export async function sweep(mirror: Mirror, channel: number): Promise<void> {
  for (const node of [...mirror.folder.pins]) {
    const question = aboutInode(node)
    if ((await asyncSyscall('write', channel, question, question.length)) >= 0) continue
    if (node.pinned && rawSyscall('write', channel, question, question.length) === -ENOENT) mirror.folder.unpin(node)
  }
}

const invalInode = layout('fuse_notify_inval_inode_out')

/** A negative offset leaves the cached pages alone. */
const ATTRIBUTES_ONLY = -1n

function aboutInode(node: Node): Buffer {
  const message = notification('FUSE_NOTIFY_INVAL_INODE', Buffer.alloc(invalInode.$size))
  const view = new DataView(message.buffer, message.byteOffset, message.length)
  invalInode.ino.setHalves(view, OUT_HEADER_SIZE, node.low, node.high)
  invalInode.off.set(view, OUT_HEADER_SIZE, ATTRIBUTES_ONLY)
  return message
}
