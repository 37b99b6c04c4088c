// One row per opcode: what stands in its request and in its reply, where nodeids and file handles are, and whether it
// may be done twice. Everything that walks a message (a daemon, a translator, a log) walks this table.
// Source: enum fuse_opcode in include/uapi/linux/fuse.h (7.45) and the callers in fs/fuse.
import type { InitFlag } from './flags.js'
import type { StructName } from './structs.js'

/** What doing the request a second time means. */
export type Repeat =
  /** The same effect as once. */
  | 'harmless'
  /** A second time would fail or do more: find out first whether it was done. */
  | 'settle'
  /** Nobody can tell. */
  | 'unknown'

/** A file handle in a struct. `when`: only if this field of the struct has this bit. */
export interface HandleField {
  readonly field: string
  readonly when?: { readonly field: string; readonly bit: number }
}

export interface OpcodeRow {
  readonly number: number
  /** The fixed part behind fuse_in_header. */
  readonly in: StructName | null
  /** The fixed part's least size in bytes, for old kernels or without `extended`; the whole struct if absent. */
  readonly compat?: number
  /** The fixed part is `compat` bytes unless this flag was negotiated. */
  readonly extended?: InitFlag
  /** How many NUL-terminated names follow the fixed part. */
  readonly names: 0 | 1 | 2
  /** What follows the names: bytes, or a row of structs. */
  readonly tail?: 'bytes' | StructName
  /** True if the header's nodeid names an inode. */
  readonly node: boolean
  /** Further nodeids, in the fixed part, or in each struct of the tail. */
  readonly nodes?: readonly string[]
  readonly handles?: readonly HandleField[]
  /** What the handles, in request and reply, are open on. */
  readonly handle?: 'file' | 'directory'
  /** The fixed parts of a successful reply, one behind the other. */
  readonly out: readonly StructName[]
  /** What follows them: bytes, or a row of structs each with a name. */
  readonly outTail?: 'bytes' | 'fuse_dirent' | 'fuse_direntplus'
  /** Fields of `out` (or of each struct of the tail, as a path) that hold a nodeid. It counts as one lookup. */
  readonly outNodes?: readonly string[]
  readonly outHandles?: readonly string[]
  readonly reply: boolean
  readonly repeat: Repeat
}

const fh = [{ field: 'fh' }] as const
const entry = { out: ['fuse_entry_out'], outNodes: ['nodeid'] } as const
const opened = { out: ['fuse_open_out'], outHandles: ['fh'] } as const
const created = { out: ['fuse_entry_out', 'fuse_open_out'], outNodes: ['nodeid'], outHandles: ['fh'] } as const

export const opcodes = {
  LOOKUP: { number: 1, in: null, names: 1, node: true, ...entry, reply: true, repeat: 'harmless' },
  FORGET: { number: 2, in: 'fuse_forget_in', names: 0, node: true, out: [], reply: false, repeat: 'unknown' },
  GETATTR: {
    number: 3,
    in: 'fuse_getattr_in',
    compat: 0,
    names: 0,
    node: true,
    handles: [{ field: 'fh', when: { field: 'getattr_flags', bit: 1 } }],
    handle: 'file',
    out: ['fuse_attr_out'],
    reply: true,
    repeat: 'harmless',
  },
  SETATTR: {
    number: 4,
    in: 'fuse_setattr_in',
    names: 0,
    node: true,
    handles: [{ field: 'fh', when: { field: 'valid', bit: 1 << 6 } }],
    handle: 'file',
    out: ['fuse_attr_out'],
    reply: true,
    repeat: 'harmless',
  },
  READLINK: { number: 5, in: null, names: 0, node: true, out: [], outTail: 'bytes', reply: true, repeat: 'harmless' },
  SYMLINK: { number: 6, in: null, names: 2, node: true, ...entry, reply: true, repeat: 'settle' },
  MKNOD: { number: 8, in: 'fuse_mknod_in', names: 1, node: true, ...entry, reply: true, repeat: 'settle' },
  MKDIR: { number: 9, in: 'fuse_mkdir_in', names: 1, node: true, ...entry, reply: true, repeat: 'settle' },
  UNLINK: { number: 10, in: null, names: 1, node: true, out: [], reply: true, repeat: 'settle' },
  RMDIR: { number: 11, in: null, names: 1, node: true, out: [], reply: true, repeat: 'settle' },
  RENAME: {
    number: 12,
    in: 'fuse_rename_in',
    names: 2,
    node: true,
    nodes: ['newdir'],
    out: [],
    reply: true,
    repeat: 'settle',
  },
  LINK: {
    number: 13,
    in: 'fuse_link_in',
    names: 1,
    node: true,
    nodes: ['oldnodeid'],
    ...entry,
    reply: true,
    repeat: 'settle',
  },
  OPEN: {
    number: 14,
    in: 'fuse_open_in',
    names: 0,
    node: true,
    handle: 'file',
    ...opened,
    reply: true,
    repeat: 'harmless',
  },
  READ: {
    number: 15,
    in: 'fuse_read_in',
    compat: 24,
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: [],
    outTail: 'bytes',
    reply: true,
    repeat: 'harmless',
  },
  WRITE: {
    number: 16,
    in: 'fuse_write_in',
    names: 0,
    tail: 'bytes',
    node: true,
    handles: fh,
    handle: 'file',
    out: ['fuse_write_out'],
    reply: true,
    repeat: 'harmless',
  },
  STATFS: { number: 17, in: null, names: 0, node: true, out: ['fuse_statfs_out'], reply: true, repeat: 'harmless' },
  RELEASE: {
    number: 18,
    in: 'fuse_release_in',
    compat: 16,
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  FSYNC: {
    number: 20,
    in: 'fuse_fsync_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  SETXATTR: {
    number: 21,
    in: 'fuse_setxattr_in',
    compat: 8,
    extended: 'FUSE_SETXATTR_EXT',
    names: 1,
    tail: 'bytes',
    node: true,
    out: [],
    reply: true,
    repeat: 'settle',
  },
  GETXATTR: {
    number: 22,
    in: 'fuse_getxattr_in',
    names: 1,
    node: true,
    out: [],
    outTail: 'bytes',
    reply: true,
    repeat: 'harmless',
  },
  LISTXATTR: {
    number: 23,
    in: 'fuse_getxattr_in',
    names: 0,
    node: true,
    out: [],
    outTail: 'bytes',
    reply: true,
    repeat: 'harmless',
  },
  REMOVEXATTR: { number: 24, in: null, names: 1, node: true, out: [], reply: true, repeat: 'settle' },
  FLUSH: {
    number: 25,
    in: 'fuse_flush_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  INIT: {
    number: 26,
    in: 'fuse_init_in',
    compat: 8,
    names: 0,
    node: false,
    out: ['fuse_init_out'],
    reply: true,
    repeat: 'harmless',
  },
  OPENDIR: {
    number: 27,
    in: 'fuse_open_in',
    names: 0,
    node: true,
    handle: 'directory',
    ...opened,
    reply: true,
    repeat: 'harmless',
  },
  READDIR: {
    number: 28,
    in: 'fuse_read_in',
    compat: 24,
    names: 0,
    node: true,
    handles: fh,
    handle: 'directory',
    out: [],
    outTail: 'fuse_dirent',
    reply: true,
    repeat: 'harmless',
  },
  RELEASEDIR: {
    number: 29,
    in: 'fuse_release_in',
    compat: 16,
    names: 0,
    node: true,
    handles: fh,
    handle: 'directory',
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  FSYNCDIR: {
    number: 30,
    in: 'fuse_fsync_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'directory',
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  GETLK: {
    number: 31,
    in: 'fuse_lk_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: ['fuse_lk_out'],
    reply: true,
    repeat: 'harmless',
  },
  SETLK: {
    number: 32,
    in: 'fuse_lk_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  SETLKW: {
    number: 33,
    in: 'fuse_lk_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  ACCESS: { number: 34, in: 'fuse_access_in', names: 0, node: true, out: [], reply: true, repeat: 'harmless' },
  CREATE: {
    number: 35,
    in: 'fuse_create_in',
    names: 1,
    node: true,
    handle: 'file',
    ...created,
    reply: true,
    repeat: 'settle',
  },
  INTERRUPT: { number: 36, in: 'fuse_interrupt_in', names: 0, node: false, out: [], reply: false, repeat: 'harmless' },
  BMAP: {
    number: 37,
    in: 'fuse_bmap_in',
    names: 0,
    node: true,
    out: ['fuse_bmap_out'],
    reply: true,
    repeat: 'harmless',
  },
  DESTROY: { number: 38, in: null, names: 0, node: false, out: [], reply: true, repeat: 'harmless' },
  IOCTL: {
    number: 39,
    in: 'fuse_ioctl_in',
    names: 0,
    tail: 'bytes',
    node: true,
    handles: fh,
    handle: 'file',
    out: ['fuse_ioctl_out'],
    outTail: 'bytes',
    reply: true,
    repeat: 'unknown',
  },
  POLL: {
    number: 40,
    in: 'fuse_poll_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: ['fuse_poll_out'],
    reply: true,
    repeat: 'harmless',
  },
  /** The answer to NOTIFY_RETRIEVE: its unique is that of the notification. */
  NOTIFY_REPLY: {
    number: 41,
    in: 'fuse_notify_retrieve_in',
    names: 0,
    tail: 'bytes',
    node: true,
    out: [],
    reply: false,
    repeat: 'harmless',
  },
  BATCH_FORGET: {
    number: 42,
    in: 'fuse_batch_forget_in',
    names: 0,
    tail: 'fuse_forget_one',
    node: false,
    nodes: ['nodeid'],
    out: [],
    reply: false,
    repeat: 'unknown',
  },
  /** Collapsing and inserting a range could not be repeated, but the kernel passes on neither. Source: fs/fuse/file.c. */
  FALLOCATE: {
    number: 43,
    in: 'fuse_fallocate_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  READDIRPLUS: {
    number: 44,
    in: 'fuse_read_in',
    compat: 24,
    names: 0,
    node: true,
    handles: fh,
    handle: 'directory',
    out: [],
    outTail: 'fuse_direntplus',
    outNodes: ['entry_out.nodeid'],
    reply: true,
    repeat: 'harmless',
  },
  RENAME2: {
    number: 45,
    in: 'fuse_rename2_in',
    names: 2,
    node: true,
    nodes: ['newdir'],
    out: [],
    reply: true,
    repeat: 'settle',
  },
  LSEEK: {
    number: 46,
    in: 'fuse_lseek_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: ['fuse_lseek_out'],
    reply: true,
    repeat: 'harmless',
  },
  COPY_FILE_RANGE: {
    number: 47,
    in: 'fuse_copy_file_range_in',
    names: 0,
    node: true,
    nodes: ['nodeid_out'],
    handles: [{ field: 'fh_in' }, { field: 'fh_out' }],
    handle: 'file',
    out: ['fuse_write_out'],
    reply: true,
    repeat: 'harmless',
  },
  SETUPMAPPING: {
    number: 48,
    in: 'fuse_setupmapping_in',
    names: 0,
    node: true,
    handles: fh,
    handle: 'file',
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  REMOVEMAPPING: {
    number: 49,
    in: 'fuse_removemapping_in',
    names: 0,
    tail: 'fuse_removemapping_one',
    node: true,
    out: [],
    reply: true,
    repeat: 'harmless',
  },
  SYNCFS: { number: 50, in: 'fuse_syncfs_in', names: 0, node: true, out: [], reply: true, repeat: 'harmless' },
  TMPFILE: {
    number: 51,
    in: 'fuse_create_in',
    names: 1,
    node: true,
    handle: 'file',
    ...created,
    reply: true,
    repeat: 'settle',
  },
  STATX: {
    number: 52,
    in: 'fuse_statx_in',
    names: 0,
    node: true,
    handles: [{ field: 'fh', when: { field: 'getattr_flags', bit: 1 } }],
    handle: 'file',
    out: ['fuse_statx_out'],
    reply: true,
    repeat: 'harmless',
  },
  COPY_FILE_RANGE_64: {
    number: 53,
    in: 'fuse_copy_file_range_in',
    names: 0,
    node: true,
    nodes: ['nodeid_out'],
    handles: [{ field: 'fh_in' }, { field: 'fh_out' }],
    handle: 'file',
    out: ['fuse_copy_file_range_out'],
    reply: true,
    repeat: 'harmless',
  },
} as const satisfies Record<string, OpcodeRow>

export type OpcodeName = keyof typeof opcodes

/** Notifications: messages of the daemon's own, with unique 0 and the code where a reply has its errno. */
export const notifyCodes = {
  FUSE_NOTIFY_POLL: { number: 1, out: 'fuse_notify_poll_wakeup_out', nodes: [], names: 0 },
  FUSE_NOTIFY_INVAL_INODE: { number: 2, out: 'fuse_notify_inval_inode_out', nodes: ['ino'], names: 0 },
  FUSE_NOTIFY_INVAL_ENTRY: { number: 3, out: 'fuse_notify_inval_entry_out', nodes: ['parent'], names: 1 },
  FUSE_NOTIFY_STORE: { number: 4, out: 'fuse_notify_store_out', nodes: ['nodeid'], names: 0, tail: 'bytes' },
  FUSE_NOTIFY_RETRIEVE: { number: 5, out: 'fuse_notify_retrieve_out', nodes: ['nodeid'], names: 0 },
  FUSE_NOTIFY_DELETE: { number: 6, out: 'fuse_notify_delete_out', nodes: ['parent', 'child'], names: 1 },
  /** Kernel 6.9 on. */
  FUSE_NOTIFY_RESEND: { number: 7, out: null, nodes: [], names: 0 },
  /** Kernel 6.16 on. */
  FUSE_NOTIFY_INC_EPOCH: { number: 8, out: null, nodes: [], names: 0 },
  /** A row of nodeids (u64) follows. Kernel 6.18 on. */
  FUSE_NOTIFY_PRUNE: { number: 9, out: 'fuse_notify_prune_out', nodes: [], names: 0, tail: 'nodeids' },
} as const satisfies Record<string, NotifyRow>

export interface NotifyRow {
  readonly number: number
  readonly out: StructName | null
  readonly nodes: readonly string[]
  readonly names: 0 | 1
  readonly tail?: 'bytes' | 'nodeids'
}

export type NotifyName = keyof typeof notifyCodes
