// Every set of flags of the FUSE protocol, as include/uapi/linux/fuse.h (7.45) has them.

/** FUSE_INIT flags: the number of the bit. From 32 on they stand in `flags2` of fuse_init_in and fuse_init_out. */
export const initFlagBits = {
  FUSE_ASYNC_READ: 0,
  FUSE_POSIX_LOCKS: 1,
  FUSE_FILE_OPS: 2,
  FUSE_ATOMIC_O_TRUNC: 3,
  FUSE_EXPORT_SUPPORT: 4,
  FUSE_BIG_WRITES: 5,
  FUSE_DONT_MASK: 6,
  FUSE_SPLICE_WRITE: 7,
  FUSE_SPLICE_MOVE: 8,
  FUSE_SPLICE_READ: 9,
  FUSE_FLOCK_LOCKS: 10,
  FUSE_HAS_IOCTL_DIR: 11,
  FUSE_AUTO_INVAL_DATA: 12,
  FUSE_DO_READDIRPLUS: 13,
  FUSE_READDIRPLUS_AUTO: 14,
  FUSE_ASYNC_DIO: 15,
  FUSE_WRITEBACK_CACHE: 16,
  FUSE_NO_OPEN_SUPPORT: 17,
  FUSE_PARALLEL_DIROPS: 18,
  FUSE_HANDLE_KILLPRIV: 19,
  FUSE_POSIX_ACL: 20,
  FUSE_ABORT_ERROR: 21,
  FUSE_MAX_PAGES: 22,
  FUSE_CACHE_SYMLINKS: 23,
  FUSE_NO_OPENDIR_SUPPORT: 24,
  FUSE_EXPLICIT_INVAL_DATA: 25,
  FUSE_MAP_ALIGNMENT: 26,
  FUSE_SUBMOUNTS: 27,
  FUSE_HANDLE_KILLPRIV_V2: 28,
  FUSE_SETXATTR_EXT: 29,
  FUSE_INIT_EXT: 30,
  FUSE_INIT_RESERVED: 31,
  FUSE_SECURITY_CTX: 32,
  FUSE_HAS_INODE_DAX: 33,
  FUSE_CREATE_SUPP_GROUP: 34,
  FUSE_HAS_EXPIRE_ONLY: 35,
  FUSE_DIRECT_IO_ALLOW_MMAP: 36,
  FUSE_PASSTHROUGH: 37,
  FUSE_NO_EXPORT_SUPPORT: 38,
  /**
   * The kernel says that it can resend. Nothing need be asked for: fuse_resend() in fs/fuse/dev.c marks and requeues the
   * requests of any daemon, whether or not the flag came back in fuse_init_out.
   */
  FUSE_HAS_RESEND: 39,
  FUSE_ALLOW_IDMAP: 40,
  FUSE_OVER_IO_URING: 41,
  FUSE_REQUEST_TIMEOUT: 42,
} as const

export type InitFlag = keyof typeof initFlagBits

/** The two words of fuse_init_in and fuse_init_out for a set of flags. */
export function initWords(names: readonly InitFlag[]): { flags: number; flags2: number } {
  let flags = 0
  let flags2 = 0
  for (const name of names) {
    const bit = initFlagBits[name]
    if (bit < 32) flags |= 1 << bit
    else flags2 |= 1 << (bit - 32)
  }
  return { flags: flags >>> 0, flags2: flags2 >>> 0 }
}

/** The names of the flags in two words; a bit that the table lacks is given as its number, `1<<43`. */
export function initNames(flags: number, flags2: number): string[] {
  const names: string[] = []
  for (let bit = 0; bit < 64; bit++) {
    const word = bit < 32 ? flags : flags2
    if ((word >>> (bit % 32)) & 1) names.push(initFlagNames.get(bit) ?? `1<<${bit}`)
  }
  return names
}
const initFlagNames = new Map<number, InitFlag>(
  (Object.entries(initFlagBits) as [InitFlag, number][]).map(([name, bit]) => [bit, name]),
)

/** fuse_open_out.open_flags */
export const FOPEN = {
  FOPEN_DIRECT_IO: 1 << 0,
  FOPEN_KEEP_CACHE: 1 << 1,
  FOPEN_NONSEEKABLE: 1 << 2,
  FOPEN_CACHE_DIR: 1 << 3,
  FOPEN_STREAM: 1 << 4,
  FOPEN_NOFLUSH: 1 << 5,
  FOPEN_PARALLEL_DIRECT_WRITES: 1 << 6,
  FOPEN_PASSTHROUGH: 1 << 7,
} as const

/** fuse_setattr_in.valid */
export const FATTR = {
  FATTR_MODE: 1 << 0,
  FATTR_UID: 1 << 1,
  FATTR_GID: 1 << 2,
  FATTR_SIZE: 1 << 3,
  FATTR_ATIME: 1 << 4,
  FATTR_MTIME: 1 << 5,
  FATTR_FH: 1 << 6,
  FATTR_ATIME_NOW: 1 << 7,
  FATTR_MTIME_NOW: 1 << 8,
  FATTR_LOCKOWNER: 1 << 9,
  FATTR_CTIME: 1 << 10,
  FATTR_KILL_SUIDGID: 1 << 11,
} as const

/** fuse_getattr_in.getattr_flags, fuse_statx_in.getattr_flags */
export const FUSE_GETATTR_FH = 1 << 0

/** fuse_read_in.read_flags */
export const FUSE_READ_LOCKOWNER = 1 << 1

/** fuse_write_in.write_flags. FUSE_WRITE_CACHE: from the page cache, and the file handle is guessed. */
export const FUSE_WRITE = {
  FUSE_WRITE_CACHE: 1 << 0,
  FUSE_WRITE_LOCKOWNER: 1 << 1,
  FUSE_WRITE_KILL_SUIDGID: 1 << 2,
} as const

/** fuse_open_in.open_flags, fuse_create_in.open_flags */
export const FUSE_OPEN_KILL_SUIDGID = 1 << 0

/** fuse_setxattr_in.setxattr_flags */
export const FUSE_SETXATTR_ACL_KILL_SGID = 1 << 0

/** fuse_release_in.release_flags */
export const FUSE_RELEASE = { FUSE_RELEASE_FLUSH: 1 << 0, FUSE_RELEASE_FLOCK_UNLOCK: 1 << 1 } as const

/** fuse_fsync_in.fsync_flags */
export const FUSE_FSYNC_FDATASYNC = 1 << 0

/** fuse_lk_in.lk_flags */
export const FUSE_LK_FLOCK = 1 << 0

/** fuse_poll_in.flags */
export const FUSE_POLL_SCHEDULE_NOTIFY = 1 << 0

/** fuse_ioctl_in.flags and fuse_ioctl_out.flags */
export const FUSE_IOCTL = {
  FUSE_IOCTL_COMPAT: 1 << 0,
  FUSE_IOCTL_UNRESTRICTED: 1 << 1,
  FUSE_IOCTL_RETRY: 1 << 2,
  FUSE_IOCTL_32BIT: 1 << 3,
  FUSE_IOCTL_DIR: 1 << 4,
  FUSE_IOCTL_COMPAT_X32: 1 << 5,
} as const

/** fuse_attr.flags */
export const FUSE_ATTR = { FUSE_ATTR_SUBMOUNT: 1 << 0, FUSE_ATTR_DAX: 1 << 1 } as const

/** fuse_notify_inval_entry_out.flags */
export const FUSE_EXPIRE_ONLY = 1 << 0

/** fuse_ext_header.type: at most 31 is the count of a fuse_secctx_header. */
export const FUSE_EXT = { FUSE_MAX_NR_SECCTX: 31, FUSE_EXT_GROUPS: 32 } as const

/** Bit 63 of fuse_in_header.unique: a resent request. This is its high half; the reply carries the bit as well. */
export const FUSE_UNIQUE_RESEND_HIGH = 0x8000_0000

/** Bit 0 of fuse_in_header.unique: an INTERRUPT; ordinary requests have even ids. Source: fs/fuse/dev.c. */
export const FUSE_INT_REQ_BIT = 1

/** The nodeid of the root of every mount. */
export const FUSE_ROOT_ID = 1
export const FUSE_KERNEL_VERSION = 7
export const FUSE_KERNEL_MINOR_VERSION = 45
export const FUSE_MIN_READ_BUFFER = 8192
