// What mirrorfs does for each opcode. One that is missing is answered with ENOSYS, and for most the kernel then stops
// asking.
import type { OpcodeName } from '../fuse/opcodes.js'
import type { Request } from '../fuse/request.js'
import { create, link, mkdir, mknod, symlink, tmpfile } from './creating.js'
import { copyRange, copyRange64, fallocate, fsync, lseek, open, read, release, write } from './data.js'
import { ENOSYS, ENOTTY } from './errno.js'
import { fsyncdir, opendir, readdir, readdirplus, releasedir } from './folders.js'
import { getattr, readlink, setattr, statfs, statx } from './inode.js'
import { type Mirror, NO_REPLY, type Outcome } from './mirror.js'
import { type Change, once } from './once.js'
import { rename, rename2, rmdir, unlink } from './removing.js'
import { batchForget, destroy, forget, init, lookup } from './session.js'
import { getxattr, listxattr, removexattr, setxattr } from './xattrs.js'

export type Operation = (mirror: Mirror, request: Request) => Outcome

const exactlyOnce =
  (change: Change): Operation =>
  (mirror, request) =>
    once(change, mirror, request)
const refuse =
  (errno: number): Operation =>
  () =>
    -errno
const ignore: Operation = () => NO_REPLY

export const operations = {
  INIT: init,
  DESTROY: destroy,
  LOOKUP: lookup,
  FORGET: forget,
  BATCH_FORGET: batchForget,

  GETATTR: getattr,
  SETATTR: setattr,
  STATX: statx,
  READLINK: readlink,
  STATFS: statfs,
  /** default_permissions: the kernel decides by mode and ACL. */
  ACCESS: refuse(ENOSYS),

  MKDIR: exactlyOnce(mkdir),
  MKNOD: exactlyOnce(mknod),
  SYMLINK: exactlyOnce(symlink),
  LINK: exactlyOnce(link),
  CREATE: exactlyOnce(create),
  TMPFILE: exactlyOnce(tmpfile),
  UNLINK: exactlyOnce(unlink),
  RMDIR: exactlyOnce(rmdir),
  RENAME: exactlyOnce(rename),
  RENAME2: exactlyOnce(rename2),

  OPEN: open,
  READ: read,
  WRITE: write,
  RELEASE: release,
  FSYNC: fsync,
  LSEEK: lseek,
  FALLOCATE: fallocate,
  COPY_FILE_RANGE: copyRange,
  COPY_FILE_RANGE_64: copyRange64,
  /** The file systems that can be mirrored do nothing when a file is closed. */
  FLUSH: refuse(ENOSYS),

  OPENDIR: opendir,
  READDIR: readdir,
  READDIRPLUS: readdirplus,
  RELEASEDIR: releasedir,
  FSYNCDIR: fsyncdir,

  SETXATTR: exactlyOnce(setxattr),
  GETXATTR: getxattr,
  LISTXATTR: listxattr,
  REMOVEXATTR: exactlyOnce(removexattr),

  IOCTL: refuse(ENOTTY),
  /** The kernel then says that files are always ready. */
  POLL: refuse(ENOSYS),
  BMAP: refuse(ENOSYS),
  /** Served one at a time: the request that it names is answered, or waits behind this one. */
  INTERRUPT: ignore,
  NOTIFY_REPLY: ignore,
} as const satisfies Partial<Record<OpcodeName, Operation>>
