// The resolver: asks the kernel, in place of the relay, for the present path of a nodeid. It is a process of its own since
// each of its calls may wait for the mount: a file handle of a nodeid that the kernel does not hold is looked up by the
// kernel (FUSE_EXPORT_SUPPORT), a purge writes back, a notification waits for locks. It answers on the socket it is asked by
// (fd 0), one message for one message, and ends with the supervisor or when the socket's other end is closed.
//
//   question: | u32 op | i32 flags  | u64 token | argument …                              from 16 on
//   answer:   | u32 op | i32 result | u64 token | … struct statx at 48 | path at 304 …    cut at 16 where there is no path
//   of READ:  | u32 op | i32 result | u64 token | the file …
import { FILEID_INO64_GEN, NODE_SIZE } from '../kernel/node-handle.js'
import { fileHandle, MAX_HANDLE_SZ } from '../native/file-handles.js'
import { atFlags, openFlags } from '../native/open-flags.js'
import { address, at, frame, type Program } from './program.js'

export const resolverQuestions = {
  /** Opens the mount's root, whose path is the argument, and answers with what it is; its own path there is `/`. */
  OPEN: 1,
  /** The argument is a struct file_handle. */
  RESOLVE: 2,
  /** Drops every cached name that nothing uses of the mount whose path is the argument: fspick(2), fsconfig(2). */
  PURGE: 3,
  /** Closes the mount's root. */
  CLOSE: 4,
  /** Writes the argument to fd 3, which is the channel then: a notification. */
  NOTIFY: 5,
  /** The argument is the path of a file of procfs; the answer carries what is in it from 16 on. */
  READ: 6,
  /**
   * The argument is a struct file_handle with room for MAX_HANDLE_SZ bytes, and a path after it; the place of the result has the
   * flags of name_to_handle_at(2). The answer carries the struct with what a FUSE mount puts there: 12 bytes, or 24.
   */
  HANDLE: 7,
  /**
   * As RESOLVE, for the folder above what the argument names; the answer has its struct file_handle at 16. Above a file it
   * can be had since Linux 6.13. Source: name_to_handle_at(2), AT_HANDLE_CONNECTABLE; fs/fuse/inode.c, fuse_encode_fh.
   */
  PARENT: 8,
  /**
   * Asks whether anything uses the mount whose path is the argument, but that it is mounted: -EAGAIN if nothing does,
   * -EBUSY if something does. Source: umount(2), MNT_EXPIRE. The mark that this leaves is taken away by using the mount:
   * only two of these calls in a row would unmount it.
   */
  USE: 9,
  /**
   * The argument is any number of messages of 40 bytes, FUSE_NOTIFY_INVAL_INODE: each is written to fd 3, which is the channel
   * then, and the low half of the result put in its place. What comes back is the whole question.
   */
  PROBE: 10,
  /**
   * As PARENT, for what has a name in the folder: the argument is its struct file_handle, and the name after that. -EAGAIN if
   * the daemon would have to be asked. Source: openat2(2), RESOLVE_CACHED.
   */
  CHILD: 11,
  /** Answers when the mount whose path is the argument has: statfs(2). */
  STATFS: 12,
  /**
   * The argument is a uid and a gid, four bytes each: becomes that user and keeps its capabilities, without an answer. A
   * mount without `allow_other` denies everything to all others, root among them. Source: fs/fuse/dir.c,
   * fuse_allow_current_process; capabilities(7), SECBIT_NO_SETUID_FIXUP.
   */
  BECOME: 13,
} as const

/** Where the parts of a message lie. */
export const resolverMessage = { op: 0, result: 4, token: 8, argument: 16, statx: 48, path: 304 } as const
/** struct fuse_out_header and struct fuse_notify_inval_inode_out. */
export const PROBE_SIZE = 40
/** The longest message: a notification that stores a megabyte. */
export const RESOLVER_MESSAGE_SIZE = 0x11_0000

const { argument, result, statx, path } = resolverMessage
const HEADER_SIZE = argument
const STATX_SIZE = path - statx
const PATH_MAX = 4096
const PART = 0x1_0000
const { AT_FDCWD, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH, AT_HANDLE_CONNECTABLE } = atFlags
/** Of struct file_handle, before the words of the file system. */
const HANDLE_HEAD = fileHandle.f_handle
const CHANNEL = 3
/** The number that each file gets in its turn, so that the name of its link is known beforehand. */
const TURN = 9
const SIGKILL = 9
const PR_SET_PDEATHSIG = 1
const PR_SET_NAME = 15
const PR_SET_SECUREBITS = 28
const SECBIT_NO_SETUID_FIXUP = 4
const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22
const O_CLOEXEC = 0o2000000
const O_PATH = 0o10000000
const RESOLVE_CACHED = 0x20
const OPEN_HOW_SIZE = 24
const MNT_EXPIRE = 4
/** AT_EMPTY_PATH | AT_STATX_DONT_SYNC: what the kernel has cached, without asking the daemon. */
const AS_CACHED = 0x1000 | 0x4000
const STATX_BASIC_STATS = 0x7ff
const OPEN_TREE_CLONE = 1
const FSPICK_CLOEXEC = 1
const FSCONFIG_CMD_RECONFIGURE = 7
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const ENOTDIR = 20
const ENOSYS = 38

export const resolver: Program = {
  name: 'keepmount-resolver',
  variables: ['buffer', 'size', 'root', 'fd', 'cursor', 'op'],
  frameSize: 16,
  rows: [
    ['call', 'prctl', PR_SET_NAME, address('name')],
    ['call', 'close_range', CHANNEL + 1, 0xffff_ffff, 0],
    ['call', 'mmap', 0, RESOLVER_MESSAGE_SIZE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0],
    ['move', 'buffer', 'result'],
    ['move', 'root', -1],
    // The kernel forgets it with every change of user.
    ['label', 'begin'],
    ['call', 'prctl', PR_SET_PDEATHSIG, SIGKILL],

    ['label', 'next'],
    ['call', 'read', 0, 'buffer', RESOLVER_MESSAGE_SIZE],
    ['move', 'size', 'result'],
    ['if', 'size', '<=', 0, 'exit'],
    ['if', 'size', '<', HEADER_SIZE, 'next'],
    ['load', 'op', 4, at('buffer')],
    ['move', 'cursor', 'buffer'],
    ['add', 'cursor', argument],
    ['if', 'op', '==', resolverQuestions.OPEN, 'open'],
    ['if', 'op', '==', resolverQuestions.RESOLVE, 'resolve'],
    ['if', 'op', '==', resolverQuestions.PURGE, 'purge'],
    ['if', 'op', '==', resolverQuestions.CLOSE, 'close'],
    ['if', 'op', '==', resolverQuestions.NOTIFY, 'notify'],
    ['if', 'op', '==', resolverQuestions.READ, 'read'],
    ['if', 'op', '==', resolverQuestions.HANDLE, 'handle'],
    ['if', 'op', '==', resolverQuestions.PARENT, 'parent'],
    ['if', 'op', '==', resolverQuestions.USE, 'use'],
    ['if', 'op', '==', resolverQuestions.PROBE, 'probe'],
    ['if', 'op', '==', resolverQuestions.CHILD, 'child'],
    ['if', 'op', '==', resolverQuestions.STATFS, 'statfs'],
    ['if', 'op', '==', resolverQuestions.BECOME, 'become'],
    ['move', 'fd', -ENOSYS],
    ['goto', 'answer'],

    ['label', 'open'],
    ['call', 'close', 'root'],
    // In a copy of the mount that is attached nowhere: the mount itself can be unmounted while it is open.
    ['call', 'open_tree', AT_FDCWD, 'cursor', OPEN_TREE_CLONE + O_CLOEXEC],
    ['move', 'fd', 'result'],
    ['if', 'fd', '<', 0, 'answer'],
    ['call', 'openat', 'fd', address('dot'), O_CLOEXEC, 0],
    ['move', 'root', 'result'],
    ['call', 'close', 'fd'],
    ['move', 'fd', 'root'],
    ['if', 'fd', '<', 0, 'answer'],
    ['call', 'dup3', 'fd', TURN, O_CLOEXEC],
    ['goto', 'describe'],

    ['label', 'resolve'],
    ['call', 'open_by_handle_at', 'root', 'cursor', O_PATH | O_CLOEXEC],
    ['move', 'fd', 'result'],
    ['if', 'fd', '<', 0, 'answer'],
    ['label', 'found'],
    ['call', 'dup3', 'fd', TURN, O_CLOEXEC],
    ['call', 'close', 'fd'],

    ['label', 'describe'],
    ['move', 'cursor', 'buffer'],
    ['add', 'cursor', statx],
    ['call', 'statx', TURN, address('nothing'), AS_CACHED, STATX_BASIC_STATS, 'cursor'],
    ['add', 'cursor', STATX_SIZE],
    ['call', 'readlinkat', AT_FDCWD, address('link'), 'cursor', PATH_MAX],
    ['move', 'fd', 'result'],
    ['call', 'close', TURN],
    ['if', 'fd', '<', 0, 'answer'],
    ['move', 'size', 'fd'],
    ['add', 'size', path],
    ['move', 'fd', 0],
    ['goto', 'send'],

    ['label', 'parent'],
    ['call', 'open_by_handle_at', 'root', 'cursor', O_PATH | O_CLOEXEC],
    ['move', 'fd', 'result'],
    ['if', 'fd', '<', 0, 'answer'],
    ['call', 'dup3', 'fd', TURN, O_CLOEXEC],
    ['call', 'close', 'fd'],
    ['store', 4, at('cursor'), statx - argument - 8],
    ['call', 'openat', TURN, address('above'), O_PATH | O_CLOEXEC, 0],
    ['move', 'fd', 'result'],
    ['if', 'fd', '==', -ENOTDIR, 'ofFile'],
    ['if', 'fd', '<', 0, 'orphan'],
    ['call', 'name_to_handle_at', 'fd', address('nothing'), 'cursor', frame(0), AT_EMPTY_PATH],
    ['move', 'op', 'result'],
    ['call', 'dup3', 'fd', TURN, O_CLOEXEC],
    ['call', 'close', 'fd'],
    ['if', 'op', '==', 0, 'describe'],
    ['move', 'fd', 'op'],
    ['label', 'orphan'],
    ['call', 'close', TURN],
    ['goto', 'answer'],

    // What has no name has no folder, and the kernel warns of such a question.
    ['label', 'ofFile'],
    ['move', 'op', 'buffer'],
    ['add', 'op', path],
    ['call', 'readlinkat', AT_FDCWD, address('link'), 'op', PATH_MAX],
    ['if', 'result', '<', 2, 'orphan'],
    [
      'call',
      'name_to_handle_at',
      AT_FDCWD,
      address('link'),
      'cursor',
      frame(0),
      AT_SYMLINK_FOLLOW | AT_HANDLE_CONNECTABLE,
    ],
    ['move', 'fd', 'result'],
    ['if', 'fd', '<', 0, 'orphan'],
    ['call', 'close', TURN],
    // The folder's three words are behind those of the file.
    ['store', 4, at('cursor'), NODE_SIZE],
    ['store', 4, at('cursor', 4), FILEID_INO64_GEN],
    ['load', 'op', 4, at('cursor', 8 + NODE_SIZE)],
    ['store', 4, at('cursor', 8), 'op'],
    ['load', 'op', 4, at('cursor', 12 + NODE_SIZE)],
    ['store', 4, at('cursor', 12), 'op'],
    ['load', 'op', 4, at('cursor', 16 + NODE_SIZE)],
    ['store', 4, at('cursor', 16), 'op'],
    ['goto', 'resolve'],

    ['label', 'child'],
    ['call', 'open_by_handle_at', 'root', 'cursor', O_PATH | O_CLOEXEC],
    ['move', 'fd', 'result'],
    ['if', 'fd', '<', 0, 'answer'],
    ['move', 'op', 'cursor'],
    ['add', 'op', HANDLE_HEAD + NODE_SIZE],
    ['call', 'openat2', 'fd', 'op', address('cached'), OPEN_HOW_SIZE],
    ['move', 'op', 'result'],
    ['call', 'close', 'fd'],
    ['move', 'fd', 'op'],
    ['if', 'fd', '<', 0, 'answer'],
    ['store', 4, at('cursor'), statx - argument - HANDLE_HEAD],
    ['call', 'name_to_handle_at', 'fd', address('nothing'), 'cursor', frame(0), AT_EMPTY_PATH],
    ['goto', 'found'],

    ['label', 'purge'],
    ['call', 'fspick', AT_FDCWD, 'cursor', FSPICK_CLOEXEC],
    ['move', 'fd', 'result'],
    ['if', 'fd', '<', 0, 'answer'],
    ['call', 'fsconfig', 'fd', FSCONFIG_CMD_RECONFIGURE, 0, 0, 0],
    ['move', 'cursor', 'result'],
    ['call', 'close', 'fd'],
    ['move', 'fd', 'cursor'],
    ['goto', 'answer'],

    ['label', 'close'],
    ['call', 'close', 'root'],
    ['move', 'root', -1],
    ['move', 'fd', 0],
    ['goto', 'answer'],

    ['label', 'probe'],
    ['move', 'op', 'size'],
    ['add', 'op', -HEADER_SIZE],
    ['label', 'one'],
    ['if', 'op', '<', PROBE_SIZE, 'done'],
    ['call', 'write', CHANNEL, 'cursor', PROBE_SIZE],
    ['store', 4, at('cursor'), 'result'],
    ['add', 'cursor', PROBE_SIZE],
    ['add', 'op', -PROBE_SIZE],
    ['goto', 'one'],

    ['label', 'use'],
    ['call', 'openat', AT_FDCWD, 'cursor', O_PATH | O_CLOEXEC, 0],
    ['move', 'fd', 'result'],
    ['if', 'fd', '<', 0, 'answer'],
    ['call', 'close', 'fd'],
    ['call', 'umount2', 'cursor', MNT_EXPIRE],
    ['move', 'size', 'result'],
    ['call', 'openat', AT_FDCWD, 'cursor', O_PATH | O_CLOEXEC, 0],
    ['call', 'close', 'result'],
    ['move', 'fd', 'size'],
    ['goto', 'answer'],

    ['label', 'statfs'],
    // The path has been read when its struct statfs is written over it.
    ['call', 'statfs', 'cursor', 'cursor'],
    ['goto', 'result'],

    ['label', 'become'],
    ['call', 'prctl', PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP],
    ['load', 'op', 4, at('cursor', 4)],
    ['call', 'setgid', 'op'],
    ['load', 'op', 4, at('cursor')],
    ['call', 'setuid', 'op'],
    ['goto', 'begin'],

    ['label', 'notify'],
    ['add', 'size', -HEADER_SIZE],
    ['call', 'write', CHANNEL, 'cursor', 'size'],
    ['label', 'result'],
    ['move', 'fd', 'result'],
    ['goto', 'answer'],

    ['label', 'read'],
    ['call', 'openat', AT_FDCWD, 'cursor', O_CLOEXEC, 0],
    ['move', 'fd', 'result'],
    ['if', 'fd', '<', 0, 'answer'],
    // Up to the last place where a part has room.
    ['move', 'op', RESOLVER_MESSAGE_SIZE - PART],
    ['add', 'op', 'buffer'],
    ['label', 'part'],
    ['if', 'op', '<', 'cursor', 'whole'],
    ['call', 'read', 'fd', 'cursor', PART],
    ['move', 'size', 'result'],
    ['if', 'size', '<=', 0, 'whole'],
    ['add', 'cursor', 'size'],
    ['goto', 'part'],
    ['label', 'whole'],
    ['call', 'close', 'fd'],
    ['move', 'size', 'buffer'],
    ['negate', 'size'],
    ['add', 'size', 'cursor'],
    ['label', 'done'],
    ['move', 'fd', 0],
    ['goto', 'send'],

    ['label', 'handle'],
    ['move', 'op', 'cursor'],
    ['add', 'op', HANDLE_HEAD + MAX_HANDLE_SZ],
    ['load', 'fd', 4, at('buffer', result)],
    ['call', 'name_to_handle_at', AT_FDCWD, 'op', 'cursor', frame(0), 'fd'],
    ['move', 'fd', 'result'],
    ['if', 'fd', '<', 0, 'answer'],
    ['move', 'size', HEADER_SIZE + HANDLE_HEAD + 2 * NODE_SIZE],
    ['goto', 'send'],

    ['label', 'answer'],
    ['move', 'size', HEADER_SIZE],
    ['label', 'send'],
    ['move', 'cursor', 'buffer'],
    ['add', 'cursor', result],
    ['store', 4, at('cursor'), 'fd'],
    ['call', 'sendto', 0, 'buffer', 'size', MSG_DONTWAIT + MSG_NOSIGNAL, 0, 0],
    ['goto', 'next'],

    ['label', 'exit'],
    ['call', 'exit_group', 0],

    ['label', 'link'],
    ['data', Buffer.from(`/proc/self/fd/${TURN}\0`)],
    ['label', 'cached'],
    ['data', openHow(O_PATH | openFlags.O_NOFOLLOW | O_CLOEXEC, RESOLVE_CACHED)],
    ['label', 'dot'],
    ['data', Buffer.from('.\0')],
    ['label', 'above'],
    ['data', Buffer.from('..\0')],
    ['label', 'nothing'],
    ['data', Buffer.from('\0')],
    ['label', 'name'],
    ['data', Buffer.from('keepmount-path\0')],
  ],
}

/** struct open_how. */
function openHow(flags: number, resolve: number): Buffer {
  return Buffer.from(BigUint64Array.of(BigInt(flags), 0n, BigInt(resolve)).buffer)
}
