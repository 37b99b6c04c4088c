// Folders of the daemon, read by the relay itself: one to find a name in it, and a half-read one that has to come to where
// an earlier life had left off.
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { openFlags } from '../../native/open-flags.js'
import type { Daemon } from './daemon.js'

const dirent = layout('fuse_dirent')
const direntplus = layout('fuse_direntplus')
const readIn = layout('fuse_read_in')
const PART = 32 * 1024
const MOST_LEFT_OUT = 2n
const ENOSYS = 38
const openBody = Buffer.alloc(8)
openBody.writeUInt32LE(openFlags.O_DIRECTORY)

/** The names in a folder, as bytes, or the first ones. Null if it can't be read. */
export function namesIn(daemon: Daemon, low: number, high: number, most = Number.POSITIVE_INFINITY): Buffer[] | null {
  const opened = daemon.ask('OPENDIR', low, high, openBody)
  if (opened < 0 && opened !== -ENOSYS) return null
  const fh = opened < 0 ? 0n : daemon.answer.getBigUint64(OUT_HEADER_SIZE, true)
  const names: Buffer[] = []
  const end = walk(daemon, low, high, fh, (_, name) => names.push(name) >= most)
  if (opened >= 0) {
    const release = Buffer.alloc(layout('fuse_release_in').$size)
    release.writeBigUInt64LE(fh)
    daemon.ask('RELEASEDIR', low, high, release)
  }
  return end < 0 ? null : names
}

/** What an offset of an earlier life means in a folder that was opened again. */
export interface Reached {
  /** An entry has this offset. */
  readonly found: boolean
  /** Offsets are places in the listing, which all move when a name before them comes or goes; or else names of entries. */
  readonly byPlace: boolean
}

/**
 * Reads an open folder from its beginning to the entry that has this offset, so that the daemon knows where it is. Where
 * no entry has it, the whole folder has been read.
 */
export function readUpTo(daemon: Daemon, low: number, high: number, fh: bigint, offset: bigint): Reached {
  // Counted, as by go-fuse and libfuse 3 (fuse-overlayfs leaves one out), or added up of what each entry takes in an answer,
  // as by libfuse 2.
  let count = 0n
  let bytes = 0n
  let isCounted = true
  let isAddedUp = true
  let found = false
  walk(daemon, low, high, fh, (at, name) => {
    count++
    bytes += BigInt((dirent.$size + name.length + 7) & ~7)
    isCounted &&= at >= count && at <= count + MOST_LEFT_OUT
    isAddedUp &&= at === bytes
    found = at === offset
    return found
  })
  return { found, byPlace: isCounted || isAddedUp }
}

/** Visits the entries until `visit` says true. A negative errno if that failed. */
function walk(
  daemon: Daemon,
  low: number,
  high: number,
  fh: bigint,
  visit: (offset: bigint, name: Buffer) => boolean,
): number {
  const body = Buffer.alloc(readIn.$size)
  body.writeBigUInt64LE(fh)
  body.writeUInt32LE(PART, readIn.size.offset)
  body.writeUInt32LE(openFlags.O_DIRECTORY, readIn.flags.offset)
  let isPlus = false
  for (let offset = 0n; ; ) {
    body.writeBigUInt64LE(offset, readIn.offset.offset)
    const size = daemon.ask(isPlus ? 'READDIRPLUS' : 'READDIR', low, high, body)
    if (size === -ENOSYS && !isPlus) {
      isPlus = true
      continue
    }
    if (size < 0) return size
    const entries = entriesOf(daemon, size, isPlus)
    // Asking for the next part overwrites this one: each is read whole first.
    for (const { forget } of entries) if (forget) daemon.forget(forget.low, forget.high, 1)
    for (const { offset: at, name } of entries) if (visit(at, name)) return 0
    const last = entries.at(-1)
    if (!last || last.offset === offset) return 0
    offset = last.offset
  }
}

interface Entry {
  readonly offset: bigint
  readonly name: Buffer
  readonly forget: { low: number; high: number } | null
}

function entriesOf(daemon: Daemon, size: number, isPlus: boolean): Entry[] {
  const view = daemon.answer
  const entries: Entry[] = []
  const inner = isPlus ? direntplus.dirent.$offset : 0
  for (let at = OUT_HEADER_SIZE; at + inner + dirent.$size <= size; ) {
    const length = dirent.namelen.get(view, at + inner)
    const nameAt = at + inner + dirent.$size
    if (nameAt + length > size) break
    const [low, high] = isPlus
      ? [direntplus.entry_out.nodeid.low(view, at), direntplus.entry_out.nodeid.high(view, at)]
      : [0, 0]
    const name = Buffer.from(new Uint8Array(view.buffer, view.byteOffset + nameAt, length))
    // A daemon counts no lookup for the folder itself and the one above.
    const counts = (low !== 0 || high !== 0) && !isDots(name)
    entries.push({ offset: dirent.off.get(view, at + inner), name, forget: counts ? { low, high } : null })
    at += (inner + dirent.$size + length + 7) & ~7
  }
  return entries
}

/** `.` and `..`, for which READDIRPLUS counts no lookup. */
export const isDots = (name: Uint8Array): boolean =>
  (name.length === 1 && name[0] === 46) || (name.length === 2 && name[0] === 46 && name[1] === 46)
