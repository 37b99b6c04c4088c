// What INIT agrees on. It is the same in every life and nothing of it is remembered: INIT comes once per mount, so a
// later life has only these constants.
import { type InitFlag, initWords } from '../fuse/flags.js'

/** The most bytes of one READ or WRITE: 256 pages, the kernel's own limit (fuse.max_pages_limit). */
export const MAX_WRITE = 0x10_0000
export const MAX_PAGES = MAX_WRITE / 4096
/** The kernel wants room for a whole WRITE with its headers, whatever the next request is. */
export const MAX_MESSAGE = MAX_WRITE + 4096
/** How long the kernel may keep names and attributes without asking, in seconds. */
export const VALID_SECONDS = 1

/**
 * Not asked for, and why:
 * - FUSE_POSIX_LOCKS, FUSE_FLOCK_LOCKS: without them the kernel keeps all locks of the mount itself, so that a crash
 *   loses none.
 * - FUSE_WRITEBACK_CACHE: a write is acknowledged once the backing file has it. With the cache, size and mtime are the
 *   kernel's own, and changes made to the source directly would not show.
 * - FUSE_ATOMIC_O_TRUNC: an open that truncates is two requests, and each may be repeated.
 * - FUSE_HAS_RESEND: it need not be asked for (flags.ts).
 */
export const WANTED: readonly InitFlag[] = [
  'FUSE_ASYNC_READ',
  'FUSE_BIG_WRITES',
  'FUSE_DONT_MASK',
  'FUSE_AUTO_INVAL_DATA',
  'FUSE_DO_READDIRPLUS',
  'FUSE_READDIRPLUS_AUTO',
  'FUSE_ASYNC_DIO',
  'FUSE_PARALLEL_DIROPS',
  'FUSE_POSIX_ACL',
  'FUSE_ABORT_ERROR',
  'FUSE_MAX_PAGES',
  'FUSE_CACHE_SYMLINKS',
  'FUSE_HANDLE_KILLPRIV_V2',
  'FUSE_SETXATTR_EXT',
  'FUSE_INIT_EXT',
]

export const wantedWords = initWords(WANTED)
