// What a daemon writes: the header of a reply, and notifications.
import { layout } from './layout.js'
import { type NotifyName, notifyCodes } from './opcodes.js'

const header = layout('fuse_out_header')

/** Bytes of fuse_out_header: where every reply's body begins. */
export const OUT_HEADER_SIZE = header.$size

/**
 * Writes the header of a reply at the start of `view`.
 * @param length of the body, in bytes; none is sent with an error
 * @param errno 0, or the errno as a positive number
 * @returns the length of the message
 */
export function replyHeader(
  view: DataView,
  uniqueLow: number,
  uniqueHigh: number,
  errno: number,
  length: number,
): number {
  const size = errno === 0 ? OUT_HEADER_SIZE + length : OUT_HEADER_SIZE
  header.len.set(view, 0, size)
  header.error.set(view, 0, -errno)
  header.unique.setHalves(view, 0, uniqueLow, uniqueHigh)
  return size
}

/**
 * A notification: header with unique 0 and the code, and the body. Writing it fails with ENOENT if the kernel does not
 * hold the inode that it is about, and with EINVAL if the kernel does not know the code.
 */
export function notification(name: NotifyName, body: Uint8Array = new Uint8Array()): Buffer {
  const message = Buffer.alloc(OUT_HEADER_SIZE + body.length)
  const view = new DataView(message.buffer, message.byteOffset, message.length)
  header.len.set(view, 0, message.length)
  header.error.set(view, 0, notifyCodes[name].number)
  message.set(body, OUT_HEADER_SIZE)
  return message
}
