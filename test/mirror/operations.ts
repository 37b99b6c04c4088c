// The operations that a mirror must do as the folder itself does: rows of system calls, each run in an empty folder and in
// the mount of a mirror of an empty folder. Results, errnos, and all that is in the two folders afterwards must be equal.
import type { Call, Operand } from '../fixtures/syscalls.js'

export interface Row {
  readonly what: string
  readonly calls: readonly Call[]
}

export const at = -100
export const p = (path: string): Operand => ({ path })
/** The result of the call that was named so. */
export const r = (of: string): Operand => ({ of })
export const as = (name: string): Operand => ({ as: name })
export const room = (size: number): Operand => ({ room: size })

const O_RDONLY = 0
const O_WRONLY = 1
const O_RDWR = 2
export const O_CREAT = 0o100
export const O_EXCL = 0o200
const O_TRUNC = 0o1000
const O_APPEND = 0o2000
const O_PATH = 0o10000000
const O_DIRECTORY: Operand = { perArch: { x64: 0o200000, arm64: 0o40000 } }
const O_TMPFILE_RDWR: Operand = { perArch: { x64: 0o20200002, arm64: 0o20040002 } }
const O_NOFOLLOW_RDONLY: Operand = { perArch: { x64: 0o400000, arm64: 0o100000 } }
const AT_REMOVEDIR = 0x200
const AT_SYMLINK_FOLLOW = 0x400
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_EMPTY_PATH = 0x1000
const RENAME_NOREPLACE = 1
const RENAME_EXCHANGE = 2
const RENAME_WHITEOUT = 4
const FALLOC_FL_KEEP_SIZE = 1
const FALLOC_FL_PUNCH_HOLE = 2
const FALLOC_FL_ZERO_RANGE = 16
const SEEK_DATA = 3
const SEEK_HOLE = 4
const XATTR_CREATE = 1
const XATTR_REPLACE = 2
const S_IFREG = 0o100000
const S_IFCHR = 0o020000
const S_IFIFO = 0o010000
const S_IFSOCK = 0o140000
const UTIME_NOW = 0x3fffffffn
const UTIME_OMIT = 0x3ffffffen

/** Makes a file with these bytes. */
export const file = (path: string, text = path, mode = 0o644): Call[] => [
  ['openat', at, p(path), O_RDWR | O_CREAT | O_TRUNC, mode, as('file')],
  ['pwrite64', r('file'), buf(text), text.length, 0],
  ['close', r('file')],
]

export const rows = (...parts: (Call | Call[])[]): Call[] => parts.flatMap((part) => (isCalls(part) ? part : [part]))

const isCalls = (part: Call | Call[]): part is Call[] => Array.isArray(part[0])

const times = (...parts: [bigint, bigint][]): Operand => {
  const buffer = Buffer.alloc(32)
  for (const [i, [seconds, nanoseconds]] of parts.entries()) {
    buffer.writeBigInt64LE(seconds, 16 * i)
    buffer.writeBigInt64LE(nanoseconds, 16 * i + 8)
  }
  return buf(buffer)
}

/** POSIX ACL as an attribute: version 2, rows of { tag, permissions, id }. */
const acl = (...entries: [tag: number, permissions: number, id: number][]): Buffer => {
  const buffer = Buffer.alloc(4 + 8 * entries.length)
  buffer.writeUInt32LE(2)
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    buffer.writeUInt16LE(tag, 4 + 8 * i)
    buffer.writeUInt16LE(permissions, 6 + 8 * i)
    buffer.writeUInt32LE(id >>> 0, 8 + 8 * i)
  }
  return buffer
}
const someAcl = acl([1, 7, -1], [2, 5, 1234], [4, 5, -1], [16, 5, -1], [32, 0, -1])

/** Bytes, as an operand. */
export const buf = (bytes: string | Buffer): Operand => ({ base64: Buffer.from(bytes).toString('base64') })

/** As another user, with root's capabilities gone. */
const become = (uid: number): Call[] => [
  ['setfsgid', uid],
  ['setfsuid', uid],
]

export const operations: readonly Row[] = [
  {
    what: 'a file is made, written and read',
    calls: rows(file('a'), ['openat', at, p('a'), 0, as('a')], ['read', r('a'), room(10), 10]),
  },
  {
    what: 'opening what is not there, or is there already',
    calls: rows(
      ['openat', at, p('none'), O_RDONLY],
      file('a'),
      ['openat', at, p('a'), O_CREAT | O_EXCL, 0o644],
      ['openat', at, p('a/b'), O_RDONLY],
      ['openat', at, p('a/b'), O_CREAT, 0o644],
      ['openat', at, p('x'.repeat(256)), O_CREAT, 0o644],
      ['openat', at, p('x'.repeat(255)), O_CREAT, 0o644],
      ['openat', at, p(''), O_RDWR],
      ['openat', at, p('a'), O_DIRECTORY],
    ),
  },
  {
    what: 'truncating by open, by path and by descriptor',
    calls: rows(
      file('a', 'abcdefgh'),
      file('b', 'abcdefgh'),
      file('c', 'abcdefgh'),
      ['openat', at, p('a'), O_RDWR | O_TRUNC],
      ['truncate', p('b'), 3],
      ['truncate', p('b'), 70000],
      ['openat', at, p('c'), O_WRONLY, as('writer')],
      ['ftruncate', r('writer'), 5],
      ['ftruncate', r('writer'), -1],
      ['openat', at, p('c'), O_RDONLY, as('reader')],
      ['ftruncate', r('reader'), 1],
      ['truncate', p('none'), 1],
    ),
  },
  {
    what: 'writing at offsets, behind the end, and appending',
    calls: rows(
      file('a', 'abc'),
      ['openat', at, p('a'), O_WRONLY | O_APPEND, as('append')],
      ['write', r('append'), buf('def'), 3],
      ['pwrite64', r('append'), buf('ghi'), 3, 100000],
      ['openat', at, p('a'), O_RDWR, as('both')],
      ['pwrite64', r('both'), buf('Z'), 1, 1],
      ['pread64', r('both'), room(12), 12, 0],
      ['pread64', r('both'), room(12), 12, 500000],
      ['write', r('append'), buf('end'), 3],
      ['openat', at, p('a'), O_RDONLY, as('reader')],
      ['write', r('reader'), buf('x'), 1],
      ['read', r('append'), room(4), 4],
    ),
  },
  {
    what: 'folders are made and removed',
    calls: rows(
      ['mkdirat', at, p('d'), 0o755],
      ['mkdirat', at, p('d'), 0o755],
      ['mkdirat', at, p('d/e'), 0o2770],
      ['mkdirat', at, p('none/e'), 0o755],
      ['unlinkat', at, p('d'), AT_REMOVEDIR],
      ['unlinkat', at, p('d'), 0],
      file('a'),
      ['unlinkat', at, p('a'), AT_REMOVEDIR],
      ['mkdirat', at, p('a'), 0o755],
      ['mkdirat', at, p('f'), 0o1777],
      ['unlinkat', at, p('d/e'), AT_REMOVEDIR],
      ['unlinkat', at, p('d'), AT_REMOVEDIR],
      ['unlinkat', at, p('d'), AT_REMOVEDIR],
    ),
  },
  {
    what: 'the umask is applied once',
    calls: rows(
      ['umask', 0o027],
      ['mkdirat', at, p('d'), 0o777],
      ['openat', at, p('f'), O_CREAT | O_WRONLY, 0o666],
      ['mknodat', at, p('n'), S_IFIFO | 0o666, 0],
      ['umask', 0],
      ['openat', at, p('g'), O_CREAT | O_WRONLY, 0o666],
      ['umask', 0o022],
    ),
  },
  {
    what: 'special files',
    calls: rows(
      ['mknodat', at, p('fifo'), S_IFIFO | 0o600, 0],
      ['mknodat', at, p('null'), S_IFCHR | 0o666, 0x103],
      ['mknodat', at, p('large'), S_IFCHR | 0o666, 0x12345678],
      ['mknodat', at, p('sock'), S_IFSOCK | 0o600, 0],
      ['mknodat', at, p('reg'), S_IFREG | 0o640, 0],
      ['mknodat', at, p('reg'), S_IFREG | 0o640, 0],
    ),
  },
  {
    what: 'symbolic links',
    calls: rows(
      ['symlinkat', 'target', at, p('l')],
      ['symlinkat', 'target', at, p('l')],
      ['readlinkat', at, p('l'), room(100), 100],
      ['readlinkat', at, p('l'), room(3), 3],
      ['openat', at, p('l'), O_RDONLY],
      file('target', 'text'),
      ['openat', at, p('l'), O_RDONLY, as('l')],
      ['read', r('l'), room(10), 10],
      ['openat', at, p('l'), O_NOFOLLOW_RDONLY],
      ['readlinkat', at, p('target'), room(10), 10],
      ['symlinkat', 'x'.repeat(4095), at, p('long')],
      ['readlinkat', at, p('long'), room(5000), 5000],
      ['symlinkat', 'x'.repeat(4096), at, p('longer')],
      ['fchownat', at, p('l'), 5, 6, AT_SYMLINK_NOFOLLOW],
      ['unlinkat', at, p('l'), 0],
    ),
  },
  {
    what: 'hard links count',
    calls: rows(
      file('a'),
      ['linkat', at, p('a'), at, p('b'), 0],
      ['linkat', at, p('a'), at, p('b'), 0],
      ['linkat', at, p('none'), at, p('c'), 0],
      ['mkdirat', at, p('d'), 0o755],
      ['linkat', at, p('d'), at, p('e'), 0],
      ['linkat', at, p('b'), at, p('d/c'), 0],
      ['unlinkat', at, p('a'), 0],
      ['symlinkat', 'b', at, p('l')],
      ['linkat', at, p('l'), at, p('m'), 0],
      ['linkat', at, p('l'), at, p('n'), AT_SYMLINK_FOLLOW],
    ),
  },
  {
    what: 'renaming',
    calls: rows(
      file('a', 'of a'),
      file('b', 'of b'),
      ['mkdirat', at, p('d'), 0o755],
      ['mkdirat', at, p('e'), 0o755],
      ['renameat2', at, p('a'), at, p('b'), 0],
      ['renameat2', at, p('a'), at, p('b'), 0],
      ['renameat2', at, p('b'), at, p('d'), 0],
      ['renameat2', at, p('b'), at, p('d/c'), 0],
      ['renameat2', at, p('e'), at, p('d'), 0],
      ['renameat2', at, p('d'), at, p('e'), 0],
      ['renameat2', at, p('e'), at, p('e/f'), 0],
      ['renameat2', at, p('e/c'), at, p('none/c'), 0],
      ['linkat', at, p('e/c'), at, p('same'), 0],
      ['renameat2', at, p('e/c'), at, p('same'), 0],
    ),
  },
  {
    what: 'renaming with flags',
    calls: rows(
      file('a', 'of a'),
      file('b', 'of b'),
      ['mkdirat', at, p('d'), 0o755],
      ['renameat2', at, p('a'), at, p('b'), RENAME_NOREPLACE],
      ['renameat2', at, p('a'), at, p('c'), RENAME_NOREPLACE],
      ['renameat2', at, p('c'), at, p('d'), RENAME_EXCHANGE],
      ['renameat2', at, p('b'), at, p('none'), RENAME_EXCHANGE],
      ['renameat2', at, p('b'), at, p('w'), RENAME_WHITEOUT],
      ['renameat2', at, p('d'), at, p('w'), RENAME_NOREPLACE | RENAME_EXCHANGE],
      ['renameat2', at, p('d'), at, p('w'), 128],
    ),
  },
  {
    what: 'removed while open: still readable, writable, and without links',
    calls: rows(
      file('a', 'abcdef'),
      ['openat', at, p('a'), O_RDWR, as('a')],
      ['unlinkat', at, p('a'), 0],
      ['pread64', r('a'), room(6), 6, 0],
      ['pwrite64', r('a'), buf('Q'), 1, 0],
      ['pread64', r('a'), room(6), 6, 0],
      ['ftruncate', r('a'), 2],
      ['pread64', r('a'), room(6), 6, 0],
      ['openat', at, p('a'), O_RDONLY],
      ['fsync', r('a')],
      ['close', r('a')],
    ),
  },
  {
    what: 'replaced by rename while open',
    calls: rows(
      file('a', 'of a'),
      file('b', 'of b'),
      ['openat', at, p('b'), O_RDWR, as('old')],
      ['renameat2', at, p('a'), at, p('b'), 0],
      ['pread64', r('old'), room(6), 6, 0],
      ['openat', at, p('b'), O_RDWR, as('new')],
      ['pread64', r('new'), room(6), 6, 0],
    ),
  },
  {
    what: 'a file without a name, which is given one',
    calls: rows(
      ['openat', at, p(''), O_TMPFILE_RDWR, 0o640, as('nameless')],
      ['pwrite64', r('nameless'), buf('text'), 4, 0],
      ['pread64', r('nameless'), room(4), 4, 0],
      ['linkat', r('nameless'), '', at, p('named'), AT_EMPTY_PATH],
    ),
  },
  {
    what: 'modes and owners',
    calls: rows(
      file('a'),
      ['fchmodat', at, p('a'), 0o4755],
      ['fchownat', at, p('a'), 7, 8, 0],
      file('b'),
      ['fchmodat', at, p('b'), 0o6711],
      ['fchownat', at, p('b'), 0xffffffff, 9, 0],
      file('c'),
      ['fchownat', at, p('c'), 0xffffffff, 0xffffffff, 0],
      ['mkdirat', at, p('d'), 0o700],
      ['fchmodat', at, p('d'), 0o7777],
      ['fchownat', at, p('d'), 1, 2, 0],
      ['fchmodat', at, p('none'), 0o700],
    ),
  },
  {
    what: 'times in nanoseconds, now, and left alone',
    calls: rows(
      file('a'),
      ['utimensat', at, p('a'), times([1n, 2n], [1_600_000_000n, 123_456_789n]), 0],
      ['statx', at, p('a'), 0, 0x60, { room: 0 }],
      ['utimensat', at, p('a'), times([0n, UTIME_OMIT], [7n, 8n]), 0],
      ['utimensat', at, p('a'), times([0n, UTIME_NOW], [0n, UTIME_OMIT]), 0],
      ['utimensat', at, p('none'), times([0n, 0n], [0n, 0n]), 0],
      ['utimensat', at, p('a'), times([0n, 2_000_000_000n], [0n, 0n]), 0],
    ),
  },
  {
    what: 'extended attributes',
    calls: rows(
      file('a'),
      ['setxattr', p('a'), 'user.one', buf('first'), 5, 0],
      ['setxattr', p('a'), 'user.one', buf('again'), 5, XATTR_CREATE],
      ['setxattr', p('a'), 'user.two', buf('2'), 1, XATTR_REPLACE],
      ['setxattr', p('a'), 'user.two', buf('2'), 1, XATTR_CREATE],
      ['setxattr', p('a'), 'user.empty', buf(''), 0, 0],
      ['setxattr', p('a'), 'user.one', buf('longer than before'), 18, XATTR_REPLACE],
      ['getxattr', p('a'), 'user.one', room(100), 100],
      ['getxattr', p('a'), 'user.one', 0, 0],
      ['getxattr', p('a'), 'user.one', room(3), 3],
      ['getxattr', p('a'), 'user.empty', room(3), 3],
      ['getxattr', p('a'), 'user.none', room(3), 3],
      ['removexattr', p('a'), 'user.two'],
      ['removexattr', p('a'), 'user.two'],
      ['setxattr', p('a'), 'nonsense', buf('x'), 1, 0],
      ['setxattr', p('a'), 'trusted.t', buf('x'), 1, 0],
      ['mkdirat', at, p('d'), 0o755],
      ['setxattr', p('d'), 'user.of.folder', buf(Buffer.alloc(1000, 'y')), 1000, 0],
      ['symlinkat', 'a', at, p('l')],
      ['lsetxattr', p('l'), 'user.x', buf('x'), 1, 0],
      ['lsetxattr', p('l'), 'trusted.x', buf('x'), 1, 0],
      ['removexattr', p('none'), 'user.x'],
    ),
  },
  {
    what: 'access control lists, with their part in the mode',
    calls: rows(
      file('a'),
      ['setxattr', p('a'), 'system.posix_acl_access', buf(someAcl), someAcl.length, 0],
      ['getxattr', p('a'), 'system.posix_acl_access', room(100), 100],
      ['mkdirat', at, p('d'), 0o755],
      ['setxattr', p('d'), 'system.posix_acl_default', buf(someAcl), someAcl.length, 0],
      ['umask', 0o077],
      ['openat', at, p('d/inherits'), O_CREAT | O_WRONLY, 0o666],
      ['mkdirat', at, p('d/e'), 0o777],
      ['umask', 0o022],
      ['fchmodat', at, p('a'), 0o600],
      ['removexattr', p('a'), 'system.posix_acl_access'],
    ),
  },
  {
    what: 'allocating, punching and zeroing',
    calls: rows(
      file('a', 'x'.repeat(5 * 4096)),
      ['openat', at, p('a'), O_RDWR, as('a')],
      ['fallocate', r('a'), 0, 0, 8 * 4096],
      ['fallocate', r('a'), FALLOC_FL_KEEP_SIZE, 0, 20 * 4096],
      ['fallocate', r('a'), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096],
      ['pread64', r('a'), room(10), 10, 4090],
      ['fallocate', r('a'), FALLOC_FL_PUNCH_HOLE, 4096, 4096],
      ['fallocate', r('a'), FALLOC_FL_ZERO_RANGE, 2 * 4096, 4096],
      ['fallocate', r('a'), 0, 0, 0],
      ['openat', at, p('a'), O_RDONLY, as('reader')],
      ['fallocate', r('reader'), 0, 0, 4096],
    ),
  },
  {
    what: 'holes and data',
    calls: rows(
      ['openat', at, p('a'), O_RDWR | O_CREAT, 0o644, as('a')],
      ['ftruncate', r('a'), 1 << 20],
      ['pwrite64', r('a'), buf('data'), 4, 1 << 19],
      ['fsync', r('a')],
      ['lseek', r('a'), 0, SEEK_DATA],
      ['lseek', r('a'), 0, SEEK_HOLE],
      ['lseek', r('a'), 1 << 19, SEEK_HOLE],
      ['lseek', r('a'), (1 << 19) + 5000, SEEK_DATA],
      ['lseek', r('a'), 1 << 20, SEEK_DATA],
      ['lseek', r('a'), 0, 2],
      ['lseek', r('a'), -1, 0],
    ),
  },
  {
    what: 'copying between files',
    calls: rows(
      file('a', 'abcdefgh'),
      file('b', ''),
      ['openat', at, p('a'), O_RDONLY, as('a')],
      ['openat', at, p('b'), O_WRONLY, as('b')],
      ['copy_file_range', r('a'), 0, r('b'), 0, 100, 0],
      ['copy_file_range', r('a'), 0, r('b'), 0, 100, 0],
      ['copy_file_range', r('b'), 0, r('a'), 0, 100, 0],
    ),
  },
  {
    what: 'syncing',
    calls: rows(
      file('a'),
      ['openat', at, p('a'), O_RDWR, as('a')],
      ['fsync', r('a')],
      ['fdatasync', r('a')],
      ['openat', at, p(''), O_DIRECTORY, as('folder')],
      ['fsync', r('folder')],
      ['fdatasync', r('folder')],
      ['openat', at, p('a'), O_RDWR | 0o4010000, as('sync')],
      ['write', r('sync'), buf('sync'), 4],
    ),
  },
  {
    what: 'another user makes files of its own, in a setgid folder of its group',
    calls: rows(
      ['fchmodat', at, p(''), 0o777],
      ['mkdirat', at, p('sg'), 0o777],
      ['fchownat', at, p('sg'), 0, 55, 0],
      ['fchmodat', at, p('sg'), 0o2777],
      become(1234),
      ['openat', at, p('mine'), O_CREAT | O_WRONLY, 0o600],
      ['mkdirat', at, p('sg/d'), 0o755],
      ['openat', at, p('sg/f'), O_CREAT | O_WRONLY, 0o2755],
      ['symlinkat', 'x', at, p('sg/l')],
      ['mknodat', at, p('sg/n'), S_IFIFO | 0o600, 0],
      become(0),
      ['openat', at, p('roots'), O_CREAT | O_WRONLY, 0o600],
    ),
  },
  {
    what: 'another user is refused what it may not',
    calls: rows(
      file('secret', 'text', 0o600),
      ['mkdirat', at, p('closed'), 0o700],
      ['fchmodat', at, p(''), 0o755],
      become(1234),
      ['openat', at, p('secret'), O_RDONLY],
      ['openat', at, p('new'), O_CREAT, 0o600],
      ['unlinkat', at, p('secret'), 0],
      ['fchmodat', at, p('secret'), 0o777],
      ['fchownat', at, p('secret'), 1234, 1234, 0],
      ['mkdirat', at, p('closed/x'), 0o700],
      ['mknodat', at, p('dev'), S_IFCHR | 0o600, 0x103],
      ['truncate', p('secret'), 0],
      ['setxattr', p('secret'), 'user.x', buf('x'), 1, 0],
      ['faccessat', at, p('secret'), 4],
      become(0),
      ['faccessat', at, p('secret'), 4],
    ),
  },
  {
    what: 'what another user writes to loses its setuid bit',
    calls: rows(
      file('su', 'text', 0o777),
      ['fchmodat', at, p('su'), 0o6777],
      file('cut', 'text', 0o777),
      ['fchmodat', at, p('cut'), 0o6777],
      file('kept', 'text', 0o777),
      ['fchmodat', at, p('kept'), 0o6777],
      ['fchmodat', at, p(''), 0o755],
      become(1234),
      ['openat', at, p('su'), O_WRONLY, as('su')],
      ['write', r('su'), buf('x'), 1],
      ['truncate', p('cut'), 1],
      become(0),
      ['openat', at, p('kept'), O_WRONLY, as('kept')],
      ['write', r('kept'), buf('x'), 1],
    ),
  },
  {
    what: 'by an O_PATH descriptor',
    calls: rows(
      file('a', 'text'),
      ['openat', at, p('a'), O_PATH, as('path')],
      ['fchownat', r('path'), '', 3, 4, AT_EMPTY_PATH],
      ['read', r('path'), room(1), 1],
      ['linkat', r('path'), '', at, p('b'), AT_EMPTY_PATH],
    ),
  },
  {
    what: 'the folder that the mirror hides is not there, and its name is not to be had',
    calls: rows(
      ['openat', at, p('.mirrorfs-other'), O_CREAT | O_WRONLY, 0o644],
      ['openat', at, p('.mirrorf'), O_CREAT | O_WRONLY, 0o644],
      ['mkdirat', at, p('d'), 0o755],
      ['mkdirat', at, p('d/.mirrorfs'), 0o755],
    ),
  },
]
