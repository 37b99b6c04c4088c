// Reading folders: OPENDIR, READDIR, READDIRPLUS, RELEASEDIR, FSYNCDIR. The offset of an entry is the cookie that the
// backing file system gave it, so it means the same in every life: a folder read to its middle by an earlier life is
// opened anew and read on from there.
import { FUSE_FSYNC_FDATASYNC } from '../fuse/flags.js'
import { layout } from '../fuse/layout.js'
import type { Request } from '../fuse/request.js'
import { dirent64, fsync, getdents, lseek } from '../native/files.js'
import { allocate } from '../native/memory.js'
import { openFlags } from '../native/open-flags.js'
import { lookUp } from './attributes.js'
import { writeOpened } from './data.js'
import { EINVAL } from './errno.js'
import { BODY, type Mirror, type Outcome } from './mirror.js'
import { MAX_WRITE } from './negotiated.js'
import type { OpenFile } from './open-files.js'
import { isPrivateName } from './private-folder.js'

const readIn = layout('fuse_read_in')
const releaseIn = layout('fuse_release_in')
const fsyncIn = layout('fuse_fsync_in')
const dirent = layout('fuse_dirent')
const direntplus = layout('fuse_direntplus')
const { O_RDONLY, O_DIRECTORY } = openFlags
const SEEK_SET = 0
const FOLDER = O_RDONLY | O_DIRECTORY
/** The room for backing entries: the longest has a name of 255 bytes. */
const LEAST_ROOM = 512
const entries = allocate(65536)

export function opendir(mirror: Mirror, request: Request): Outcome {
  const slot = mirror.files.open(mirror.node(request), FOLDER)
  return slot < 0 ? slot : writeOpened(mirror, slot)
}

export function releasedir(mirror: Mirror, { view, body }: Request): Outcome {
  mirror.files.release(releaseIn.fh.low(view, body), releaseIn.fh.high(view, body))
  return 0
}

export function fsyncdir(mirror: Mirror, request: Request): Outcome {
  const { view, body } = request
  const file = mirror.files.get(fsyncIn.fh.low(view, body), fsyncIn.fh.high(view, body), mirror.node(request), FOLDER)
  if (typeof file === 'number') return file
  return fsync(file.fd, (fsyncIn.fsync_flags.get(view, body) & FUSE_FSYNC_FDATASYNC) !== 0)
}

export const readdir = (mirror: Mirror, request: Request): Outcome => readEntries(mirror, request, false)
export const readdirplus = (mirror: Mirror, request: Request): Outcome => readEntries(mirror, request, true)

function readEntries(mirror: Mirror, request: Request, plus: boolean): Outcome {
  const { view, body } = request
  const { fh } = readIn
  const file = mirror.files.get(fh.low(view, body), fh.high(view, body), mirror.node(request), FOLDER)
  if (typeof file === 'number') return file
  const size = Math.min(readIn.size.get(view, body), MAX_WRITE)
  const offset = readIn.offset.get(view, body)
  if (offset !== file.cookie || offset === 0n) {
    const moved = lseek(file.fd, BigInt.asIntN(64, offset), SEEK_SET)
    if (moved < 0 && moved === -EINVAL) return moved
    file.cookie = offset
  }
  // The hidden folder alone must not look like the end.
  for (;;) {
    const room = Math.min(entries.bytes.length, Math.max(LEAST_ROOM, plus ? size >> 2 : size))
    const length = getdents(file.fd, entries.address, room)
    if (length <= 0) return length
    const written = translate(mirror, request, file, length, size, plus)
    if (written !== 0) return written
  }
}

/** Writes the entries of `length` bytes into the reply as far as they fit, and notes the cookie of the last. */
function translate(
  mirror: Mirror,
  request: Request,
  file: OpenFile,
  length: number,
  size: number,
  plus: boolean,
): Outcome {
  const { bytes, view } = entries
  const inRoot = request.nodeLow === 1 && request.nodeHigh === 0
  const prefix = plus ? direntplus.dirent.$offset : 0
  let done = 0
  for (let at = 0; at < length; at += view.getUint16(at + dirent64.d_reclen, true)) {
    const from = at + dirent64.d_name
    const nameLength = bytes.indexOf(0, from) - from
    const whole = (prefix + dirent.$size + nameLength + 7) & ~7
    if (done + whole > size) {
      // What did not fit is read again: the backing descriptor goes back to behind the last that did.
      if (done === 0) return -EINVAL
      lseek(file.fd, BigInt.asIntN(64, file.cookie), SEEK_SET)
      return done
    }
    file.cookie = view.getBigUint64(at + dirent64.d_off, true)
    if (inRoot && isPrivateName(bytes, from)) continue
    if (plus) writeLookup(mirror, file, from, nameLength, BODY + done)
    writeDirent(mirror, at, nameLength, BODY + done + prefix)
    done += whole
  }
  return done
}

function writeDirent(mirror: Mirror, at: number, nameLength: number, to: number): void {
  const { view } = mirror.reply
  const source = entries.view
  dirent.ino.setHalves(view, to, source.getUint32(at, true), source.getUint32(at + 4, true))
  const cookie = at + dirent64.d_off
  dirent.off.setHalves(view, to, source.getUint32(cookie, true), source.getUint32(cookie + 4, true))
  dirent.namelen.set(view, to, nameLength)
  dirent.type.set(view, to, source.getUint8(at + dirent64.d_type))
  const from = at + dirent64.d_name
  entries.bytes.copy(mirror.reply.bytes, to + dirent.$size, from, from + nameLength)
  mirror.reply.bytes.fill(0, to + dirent.$size + nameLength, (to + dirent.$size + nameLength + 7) & ~7)
}

/** With nodeid 0 the kernel takes the name alone and counts no lookup: for `.`, `..`, and what went away meanwhile. */
function writeLookup(mirror: Mirror, file: OpenFile, name: number, nameLength: number, to: number): void {
  const { bytes } = entries
  const dots = bytes[name] === 0x2e && (nameLength === 1 || (nameLength === 2 && bytes[name + 1] === 0x2e))
  if (dots || lookUp(mirror, file.fd, entries.address + name, to) < 0)
    mirror.reply.bytes.fill(0, to, to + direntplus.dirent.$offset)
}
