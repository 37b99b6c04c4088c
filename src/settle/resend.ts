// FUSE_NOTIFY_RESEND: the kernel sends every request again that was read from any file of the connection and not
// answered, before all others, with bit 63 of `unique` set. They come in no order: it takes them bucket by bucket from a
// table by hash. Source: fs/fuse/dev.c, fuse_resend.
import { SyscallError } from '../native/error.js'
import { rawSyscall } from '../native/ffi.js'
import type { Fd } from '../native/types.js'

/** Marks a request that an earlier life may have carried out. FUSE_UNIQUE_RESEND of include/uapi/linux/fuse.h. */
export const RESENT = 1n << 63n

const FUSE_NOTIFY_RESEND = 7
const EINVAL = 22

//  fuse_out_header: | len u32 | error i32 = notification code | unique u64 = 0 |
const notification = Buffer.alloc(16)
notification.writeUInt32LE(16, 0)
notification.writeInt32LE(FUSE_NOTIFY_RESEND, 4)

/**
 * @returns false if this kernel does not know it (before 6.9)
 * @throws SyscallError
 */
export function resend(channel: Fd): boolean {
  const result = rawSyscall('write', channel, notification, notification.length)
  if (result === -EINVAL) return false
  if (result < 0) throw new SyscallError('write', -result, 'FUSE_NOTIFY_RESEND')
  return true
}
