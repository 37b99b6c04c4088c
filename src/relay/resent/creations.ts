// What makes a new name, sent again: done if what is there is what was asked for. Daemons make things in several steps, and may
// have died between them: an empty folder is made once more, and a file that has no mode yet is given it.
import { FATTR, FUSE_UNIQUE_RESEND_HIGH } from '../../fuse/flags.js'
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { opcodes } from '../../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { openFlags } from '../../native/open-flags.js'
import { isFolder } from '../find/identity.js'
import { namesOf } from '../translate/names.js'
import type { Shape } from '../translate/shapes.js'
import type { Translator } from '../translate/translator.js'
import type { Found } from '../wire/daemon.js'
import { namesIn } from '../wire/directory.js'
import { answerAs, answered, forget, lookup, type Resent, type Settling, terminated, word } from './request.js'

const header = layout('fuse_in_header')
const createIn = layout('fuse_create_in')
const mknodIn = layout('fuse_mknod_in')
const setattrIn = layout('fuse_setattr_in')
const entryOut = layout('fuse_entry_out')

const EEXIST = 17
const ENOTEMPTY = 39
const S_IFMT = 0o170000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000

export const creations: Readonly<Record<'MKDIR' | 'MKNOD' | 'SYMLINK' | 'LINK', Settling>> = {
  MKDIR: { was: (request, errno) => unmade(request) ?? folderMade.was(request, errno) },
  MKNOD: made(
    ({ mode, rdev, size }, { view }) =>
      (mode & S_IFMT) === (mknodIn.mode.get(view, IN_HEADER_SIZE) & S_IFMT || S_IFREG) &&
      ((mode & S_IFMT) !== S_IFREG ? rdev === mknodIn.rdev.get(view, IN_HEADER_SIZE) : size === 0n),
    ({ translator, view }, found) =>
      giveMode(translator, found, mknodIn.mode.get(view, IN_HEADER_SIZE), mknodIn.umask.get(view, IN_HEADER_SIZE)),
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
}

/**
 * CREATE: with O_EXCL, what is there must be as empty as a new file. Without it, creating again does no harm, unless the
 * daemon always has it (gocryptfs: the kernel only sends CREATE of what it has found to be missing).
 */
export function createOnce(
  translator: Translator,
  shape: Shape,
  length: number,
  node: number,
  low: number,
  high: number,
): boolean {
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
  const [name = Buffer.alloc(0)] = namesOf(translator, shape, length).names
  const look = (): Found | null => {
    const looked = daemon.lookup(parentLow, parentHigh, name)
    return typeof looked === 'number' ? null : looked
  }
  const { mode, umask } = createIn
  let found = look()
  if (
    found &&
    isNew(found) &&
    giveMode(translator, found, mode.get(view, IN_HEADER_SIZE), umask.get(view, IN_HEADER_SIZE))
  ) {
    daemon.forget(found.low, found.high, 1)
    found = look()
  }
  if (found === null) return fail(-result)
  const entry = Buffer.from(wire.reply.bytes.subarray(OUT_HEADER_SIZE, OUT_HEADER_SIZE + entryOut.$size))
  const body = Buffer.alloc(8)
  const { O_CREAT, O_EXCL, O_TRUNC, O_NOCTTY } = openFlags
  const once = O_CREAT | O_EXCL | O_NOCTTY | (isExclusive ? O_TRUNC : 0)
  body.writeUInt32LE((flags & ~once) >>> 0)
  const isIt = isNew(found) || (!isExclusive && (found.mode & S_IFMT) === S_IFREG)
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

const isNew = ({ mode, size }: Found): boolean => (mode & S_IFMT) === S_IFREG && size === 0n

/**
 * Gives what has no mode the one that was asked for, and its owner: a daemon that makes a file first without (unionfs-fuse) has
 * died before it could.
 * @returns true if the daemon was asked: its answer is in `wire.reply` now
 */
function giveMode(translator: Translator, found: Found, asked: number, umask: number): boolean {
  const mode = asked & ~umask & ALL_BITS
  if (mode === 0 || (found.mode & ALL_BITS) !== 0) return false
  const { view } = translator.wire.request
  const [uid, gid] = [header.uid.get(view, 0), header.gid.get(view, 0)]
  const { FATTR_MODE, FATTR_UID, FATTR_GID } = FATTR
  const body = Buffer.alloc(setattrIn.$size)
  const fields = new DataView(body.buffer, body.byteOffset, body.length)
  setattrIn.valid.set(fields, 0, FATTR_MODE | (uid === 0 ? 0 : FATTR_UID | FATTR_GID))
  setattrIn.mode.set(fields, 0, (found.mode & S_IFMT) | mode)
  setattrIn.uid.set(fields, 0, uid)
  setattrIn.gid.set(fields, 0, gid)
  translator.daemon.ask('SETATTR', found.low, found.high, body)
  return true
}
const ALL_BITS = 0o7777

/**
 * What makes a new name: it was done if what is there is what was asked for.
 * @param complete does what may not have been done of it
 */
function made(
  isIt: (found: Found, request: Resent) => boolean,
  complete?: (request: Resent, found: Found) => void,
): Settling {
  return {
    was: (request) => {
      const found = lookup(request, request.low, request.high, request.names[0])
      if (found === null) return 'as the daemon says'
      const is = isIt(found, request)
      if (is) complete?.(request, found)
      forget(request, found)
      // Asked again, since finding out may have asked for other things.
      return is && lookup(request, request.low, request.high, request.names[0]) ? 'entry' : 'as the daemon says'
    },
  }
}

const folderMade = made(isFolder)

/**
 * Removes the folder that is there, if it is empty: a daemon that makes one in several steps (gocryptfs, fuse-overlayfs,
 * unionfs-fuse) may have died between them, which does not always show. Nobody has seen it yet: the folder above is locked.
 * Null if there is none, or something in it.
 */
function unmade(request: Resent): 'again' | 'broken' | null {
  const { translator, low, high, names } = request
  const found = lookup(request, low, high, names[0])
  if (!found) return null
  const removed = isFolder(found) ? translator.daemon.ask('RMDIR', low, high, terminated(names[0])) : -ENOTEMPTY
  const isHalf = removed < 0 && removed !== -ENOTEMPTY && namesIn(translator.daemon, found.low, found.high) === null
  forget(request, found)
  if (removed >= 0) return 'again'
  return isHalf ? 'broken' : null
}

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
