// Requests that an earlier life may have carried out before it died: settled as if done once. Each row says which error of
// the new life can mean that it was done already, and how to find out. While one is settled the kernel holds the folders'
// locks that it took for the request, so nobody on this mount has changed them since.

import { FUSE_UNIQUE_RESEND_HIGH } from '../fuse/flags.js'
import { layout } from '../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../fuse/message.js'
import { type OpcodeName, opcodes } from '../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../fuse/request.js'
import { openFlags } from '../native/open-flags.js'
import type { Found } from './daemon.js'
import { namesIn } from './directory.js'
import { isExchange } from './exchanges.js'
import { namesOf } from './names.js'
import type { Shape } from './shapes.js'
import type { Translator } from './translator.js'

const header = layout('fuse_in_header')
const outHeader = layout('fuse_out_header')
const mknodIn = layout('fuse_mknod_in')
const writeIn = layout('fuse_write_in')
const entryOut = layout('fuse_entry_out')
const ioctlIn = layout('fuse_ioctl_in')
const getxattrIn = layout('fuse_getxattr_in')

const EIO = 5
const ENOENT = 2
const EEXIST = 17
const ENOTEMPTY = 39
const ENODATA = 61
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000

/** A resent request: all of it already in the daemon's terms. */
interface Resent {
  readonly translator: Translator
  readonly view: DataView
  readonly length: number
  /** The slot of the header's node, and its ids at the daemon. */
  readonly node: number
  readonly low: number
  readonly high: number
  readonly handle: number
  readonly names: readonly Buffer[]
  /** Where what follows the names begins. */
  readonly tail: number
}

/** What the kernel is told: `entry` is the answer to a LOOKUP, now in `wire.reply`; `again` is what the daemon says when asked once more. */
type Verdict = 'done' | 'entry' | 'again' | 'broken' | 'as the daemon says'

interface Settling {
  /** Errors that can mean that it was done before; without it, any: not every daemon can tell why something failed. */
  readonly errors?: readonly number[]
  readonly was: (request: Resent, errno: number) => Verdict
}

const rows: { readonly [Name in OpcodeName]?: Settling } = {
  MKDIR: { was: (request, errno) => halfMade(request) ?? folderMade.was(request, errno) },
  MKNOD: made(
    ({ mode, rdev, size }, { view }) =>
      (mode & S_IFMT) === (mknodIn.mode.get(view, IN_HEADER_SIZE) & S_IFMT || S_IFREG) &&
      ((mode & S_IFMT) !== S_IFREG ? rdev === mknodIn.rdev.get(view, IN_HEADER_SIZE) : size === 0n),
  ),
  SYMLINK: made(({ mode, low, high }, request) => {
    if ((mode & S_IFMT) !== S_IFLNK) return false
    const { daemon } = request.translator
    const size = daemon.ask('READLINK', low, high)
    return size > 0 && answered(request, size).equals(request.names[1] ?? Buffer.alloc(0))
  }),
  LINK: {
    was: (request) => {
      const found = lookup(request, request.low, request.high, request.names[0])
      const isSame = found !== null && found.low === word(request, 0) && found.high === word(request, 4)
      if (isSame) return 'entry'
      // A daemon that knows no hard links by their nodeid may still show one inode.
      if (found && areOne(request, found, { low: word(request, 0), high: word(request, 4) })) {
        forget(request, found)
        return lookup(request, request.low, request.high, request.names[0]) ? 'entry' : 'as the daemon says'
      }
      if (found) forget(request, found)
      return 'as the daemon says'
    },
  },
  UNLINK: { was: removed },
  RMDIR: { was: removed },
  RENAME: { errors: [ENOENT], was: (request) => moved(request) },
  RENAME2: { errors: [ENOENT, EEXIST], was: (request) => moved(request) },
  SETXATTR: {
    errors: [EEXIST],
    was: (request) => {
      const value = request.view.getUint32(IN_HEADER_SIZE, true)
      const body = Buffer.alloc(getxattrIn.$size)
      body.writeUInt32LE(Math.max(value, 1))
      const { bytes } = request.translator.wire.request
      const wanted = Buffer.from(bytes.subarray(request.tail, request.tail + value))
      const size = request.translator.daemon.ask(
        'GETXATTR',
        request.low,
        request.high,
        body,
        terminated(request.names[0]),
      )
      return size >= OUT_HEADER_SIZE && answered(request, size).equals(wanted) ? 'done' : 'as the daemon says'
    },
  },
  REMOVEXATTR: { errors: [ENODATA], was: () => 'done' },
}

/**
 * Does what a resent request asks for, if that takes more than passing it on.
 * @returns false if it is to be passed on like any other
 */
export function settleResent(
  translator: Translator,
  shape: Shape,
  length: number,
  node: number,
  handle: number,
): boolean {
  if (shape.repeat === 'harmless' && shape.name !== 'WRITE') return false
  const { view, address } = translator.wire.request
  const [low, high] = [header.unique.low(view, 0), header.unique.high(view, 0)]
  const refuse = (errno: number): true => {
    translator.refuse(low, high + FUSE_UNIQUE_RESEND_HIGH, errno)
    return true
  }
  const report = (): void =>
    translator.surroundings.report('a resent request cannot be repeated', { opcode: shape.name })
  if (shape.name === 'WRITE') return appendOnce(translator, length, node, handle, low, high)
  if (shape.repeat === 'unknown') {
    if (shape.name === 'IOCTL' && onlyReads(ioctlIn.cmd.get(view, IN_HEADER_SIZE))) return false
    report()
    return refuse(EIO)
  }
  if (isExchange(view)) {
    const outcome = exchanged(resent(translator, shape, length, node, handle), low)
    if (outcome === 'unknown') report()
    if (outcome !== 'not done') return refuse(outcome === 'done' ? 0 : EIO)
  }
  if (shape.name === 'CREATE') return createOnce(translator, length, node, low, high)
  const row = rows[shape.name]
  if (!row) return false
  const number = opcodes[shape.name].number
  translator.pending.add(low, high, number, true, node, 0)
  const result = translator.daemon.transact(address, length, low, high)
  if (result >= 0) {
    translator.fromDaemon(result)
    return true
  }
  const verdict =
    row.errors?.includes(-result) !== false ? row.was(resent(translator, shape, length, node, handle), -result) : null
  if (verdict === 'broken') {
    translator.surroundings.report('a daemon has left half a folder')
    translator.pending.take(low, high)
    return refuse(EIO)
  }
  if (verdict === 'entry') {
    answerAs(translator, low, high, outHeader.len.get(translator.wire.reply.view, 0))
    return true
  }
  const last = verdict === 'again' ? translator.daemon.transact(address, length, low, high) : result
  if (last >= 0) {
    translator.fromDaemon(last)
    return true
  }
  translator.pending.take(low, high)
  return refuse(verdict === 'done' ? 0 : -last)
}

/** Ioctls that ask and change nothing, which every program that opens a file may send: TCGETS, FIONREAD. */
const asking = new Set([0x5401, 0x541b])
const IOC_DIRECTION_SHIFT = 30
const IOC_READ = 2
/** Source: include/uapi/asm-generic/ioctl.h */
const onlyReads = (command: number): boolean => asking.has(command) || command >>> IOC_DIRECTION_SHIFT === IOC_READ

/** Gives the message in `wire.reply` as the answer to the kernel's request. */
function answerAs(translator: Translator, low: number, high: number, length: number): void {
  const { view } = translator.wire.reply
  outHeader.len.set(view, 0, length)
  outHeader.error.set(view, 0, 0)
  outHeader.unique.setHalves(view, 0, low, high)
  translator.fromDaemon(length)
}

/**
 * CREATE: with O_EXCL, what is there must be as empty as a new file. Without it, creating again does no harm, unless the
 * daemon always has it (gocryptfs: the kernel only sends CREATE of what it has found to be missing).
 */
function createOnce(translator: Translator, length: number, node: number, low: number, high: number): boolean {
  const { view, address } = translator.wire.request
  const flags = view.getUint32(IN_HEADER_SIZE, true)
  const isExclusive = (flags & openFlags.O_EXCL) !== 0
  translator.pending.add(low, high, opcodes.CREATE.number, true, node, flags)
  const result = translator.daemon.transact(address, length, low, high)
  if (result >= 0) {
    translator.fromDaemon(result)
    return true
  }
  const fail = (errno: number): true => {
    translator.pending.take(low, high)
    translator.refuse(low, high + FUSE_UNIQUE_RESEND_HIGH, errno)
    return true
  }
  if (!isExclusive && result !== -EEXIST) return fail(-result)
  const { daemon, nodes, wire } = translator
  const [parentLow, parentHigh] = [nodes.daemonLow[node] ?? 0, nodes.daemonHigh[node] ?? 0]
  const found = daemon.lookup(parentLow, parentHigh, namesOf(translator, 'CREATE', length).names[0] ?? Buffer.alloc(0))
  if (found === null || typeof found === 'number') return fail(-result)
  const entry = Buffer.from(wire.reply.bytes.subarray(OUT_HEADER_SIZE, OUT_HEADER_SIZE + entryOut.$size))
  const body = Buffer.alloc(8)
  const { O_CREAT, O_EXCL, O_TRUNC, O_NOCTTY } = openFlags
  const once = O_CREAT | O_EXCL | O_NOCTTY | (isExclusive ? O_TRUNC : 0)
  body.writeUInt32LE((flags & ~once) >>> 0)
  const isIt = (found.mode & S_IFMT) === S_IFREG && (found.size === 0n || !isExclusive)
  const opened = isIt ? daemon.ask('OPEN', found.low, found.high, body) : result
  if (opened < 0) {
    daemon.forget(found.low, found.high, 1)
    return fail(-opened)
  }
  const { bytes } = wire.reply
  bytes.copyWithin(OUT_HEADER_SIZE + entryOut.$size, OUT_HEADER_SIZE, opened)
  bytes.set(entry, OUT_HEADER_SIZE)
  answerAs(translator, low, high, opened + entryOut.$size)
  return true
}

/** Linux appends to a file that is open with O_APPEND whatever the offset: the data is written through another handle. */
function appendOnce(
  translator: Translator,
  length: number,
  node: number,
  handle: number,
  low: number,
  high: number,
): boolean {
  const { view, address } = translator.wire.request
  const flags = length >= IN_HEADER_SIZE + writeIn.$size ? writeIn.flags.get(view, IN_HEADER_SIZE) : 0
  if ((flags & openFlags.O_APPEND) === 0 || handle < 0) return false
  const fh = translator.reopening.openOnce(node, flags)
  if (fh === null) return false
  writeIn.fh.set(view, IN_HEADER_SIZE, fh)
  writeIn.flags.set(view, IN_HEADER_SIZE, flags & ~openFlags.O_APPEND)
  translator.pending.add(low, high, opcodes.WRITE.number, true, node, 0)
  const result = translator.daemon.transact(address, length, low, high)
  translator.fromDaemon(result >= 0 ? result : OUT_HEADER_SIZE)
  translator.reopening.closeOnce(node, fh)
  return true
}

/** What makes a new name: it was done if what is there is what was asked for. */
function made(isIt: (found: Found, request: Resent) => boolean): Settling {
  return {
    was: (request) => {
      const found = lookup(request, request.low, request.high, request.names[0])
      if (found === null) return 'as the daemon says'
      const is = isIt(found, request)
      forget(request, found)
      // Asked again, since finding out may have asked for other things.
      return is && lookup(request, request.low, request.high, request.names[0]) ? 'entry' : 'as the daemon says'
    },
  }
}

const folderMade = made(({ mode }) => (mode & S_IFMT) === S_IFDIR)

/**
 * Removes a folder that is there and cannot be read: a daemon that makes one in several steps (gocryptfs) may have died
 * between them. Nobody has seen it yet, and only an empty one can be removed. Null if there is none such.
 */
function halfMade(request: Resent): 'again' | 'broken' | null {
  const { translator, low, high, names } = request
  const found = lookup(request, low, high, names[0])
  if (!found) return null
  const isHalf = (found.mode & S_IFMT) === S_IFDIR && namesIn(translator.daemon, found.low, found.high) === null
  const removed = isHalf ? translator.daemon.ask('RMDIR', low, high, terminated(names[0])) : -ENOTEMPTY
  forget(request, found)
  if (removed === -ENOTEMPTY) return null
  return removed >= 0 ? 'again' : 'broken'
}

/** What removes a name: done if there is none. If there is one and the daemon does not find it, it is half removed. */
function removed({ translator, low, high, names: [name] }: Resent, errno: number): Verdict {
  const found = name === undefined ? 0 : translator.daemon.lookup(low, high, name)
  if (found === null) return 'done'
  if (typeof found === 'number') return 'as the daemon says'
  translator.daemon.forget(found.low, found.high, 1)
  return errno === ENOENT ? 'broken' : 'as the daemon says'
}

/** A rename: done if the source is gone and the target there. */
function moved(request: Resent): Verdict {
  const source = lookup(request, request.low, request.high, request.names[0])
  if (source) {
    forget(request, source)
    return 'as the daemon says'
  }
  const target = lookup(request, word(request, 0), word(request, 4), request.names[1])
  if (!target) return 'as the daemon says'
  forget(request, target)
  return 'done'
}

/** Whether an exchange was done. */
function exchanged(request: Resent, id: number): 'done' | 'not done' | 'unknown' {
  const { low, high, names } = request
  const folders = [
    { low, high },
    { low: word(request, 0), high: word(request, 4) },
  ]
  const found = folders.map((folder, i) => lookup(request, folder.low, folder.high, names[i]))
  for (const each of found) if (each) forget(request, each)
  return request.translator.exchanges.outcome(id, found)
}

function lookup({ translator }: Resent, low: number, high: number, name: Buffer | undefined): Found | null {
  const found = name === undefined ? null : translator.daemon.lookup(low, high, name)
  return typeof found === 'number' ? null : found
}
const forget = ({ translator }: Resent, { low, high }: Found): void => translator.daemon.forget(low, high, 1)
/** A word of the fixed part. */
const word = ({ view }: Resent, at: number): number => view.getUint32(IN_HEADER_SIZE + at, true)
const terminated = (name: Buffer | undefined): Buffer => Buffer.concat([name ?? Buffer.alloc(0), Buffer.alloc(1)])
/** The body of the last answer. */
const answered = ({ translator }: Resent, size: number): Buffer =>
  translator.wire.reply.bytes.subarray(OUT_HEADER_SIZE, size)

/**
 * True if both names are of one file, as far as can be seen. Where a daemon shows no inode numbers but its nodeids, which it
 * gives out by name, a file that looks the same in everything is taken for it: the kernel knows that there was no such name.
 */
function areOne(request: Resent, found: Found, other: { low: number; high: number }): boolean {
  const one = attributesOf(request, other.low, other.high)
  const two = attributesOf(request, found.low, found.high)
  if (one === null || two === null) return false
  const isNumbered = two.ino === ((BigInt(found.high) << 32n) | BigInt(found.low))
  return isNumbered ? one.looks === two.looks : one.ino === two.ino && one.ino > 1n
}

function attributesOf({ translator }: Resent, low: number, high: number): { ino: bigint; looks: string } | null {
  const size = translator.daemon.ask('GETATTR', low, high, Buffer.alloc(layout('fuse_getattr_in').$size))
  const { attr, $size } = layout('fuse_attr_out')
  if (size < OUT_HEADER_SIZE + $size) return null
  const view = translator.daemon.answer
  const of = ({ get }: { get: (view: DataView, at: number) => number | bigint }) => get(view, OUT_HEADER_SIZE)
  const { mode, size: length, mtime, mtimensec, uid, gid, rdev } = attr
  return {
    ino: attr.ino.get(view, OUT_HEADER_SIZE),
    looks: [mode, length, mtime, mtimensec, uid, gid, rdev].map(of).join(),
  }
}

function resent(translator: Translator, shape: Shape, length: number, node: number, handle: number): Resent {
  const { nodes, wire } = translator
  return {
    translator,
    view: wire.request.view,
    length,
    node,
    low: nodes.daemonLow[node] ?? 0,
    high: nodes.daemonHigh[node] ?? 0,
    handle,
    ...namesOf(translator, shape.name, length),
  }
}
