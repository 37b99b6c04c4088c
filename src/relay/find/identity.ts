// From a path that the kernel knows to a file of the new life, and whether that is still the same file. An application
// that has a file open must never be given the bytes of another: where it can't be told, the file counts as gone.

import type { DaemonId } from '../ids/known-names.js'
import type { Translator } from '../translate/translator.js'
import type { Daemon, Found, Looked } from '../wire/daemon.js'
import { namesIn } from '../wire/directory.js'
import type { Ahead } from './ahead.js'

/** What the kernel has cached of a file that an earlier life gave out. */
export interface Known {
  readonly mode: number
  readonly ino: bigint
  readonly links: number
  readonly size: bigint
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint
}

/** The kernel's id of a file. */
interface Id {
  readonly low: number
  readonly high: number
  /** The lower half of the id that the daemon had for it when it took its name away, if it has. */
  readonly hiddenAs: number
}

/** A file of the new life; it counts one lookup more. */
export interface Same {
  readonly low: number
  readonly high: number
  /**
   * The folders down to it, which count one lookup more each. The kernel never forgets a folder before what is in it, and a
   * daemon may rely on that: go-fuse knows such a folder anew, and the file by a name in the old one as well.
   */
  readonly above: readonly DaemonId[]
  /** The names down to it, if it is a file that the earlier life had hidden because it was unlinked while open. */
  readonly hidden: Buffer[] | null
}

const S_IFMT = 0o170000
const S_IFDIR = 0o040000
/** The end of the path of a file that has no name, in the kernel's words. */
export const DELETED = Buffer.from(' (deleted)')
const SLASH = 47

/**
 * Looks up the path in the new life. Null if there is no such file, or another one.
 * @param evidence how many files were seen to keep their inode number: then one that does not is another file
 */
export function findFile(
  translator: Translator,
  mountpoint: Buffer,
  path: Buffer,
  id: Id,
  known: Known | null,
  evidence: { matches: number },
): Same | null {
  const { daemon } = translator
  const isDeleted = isOfNoName(path)
  const names = namesBelow(mountpoint, isDeleted ? path.subarray(0, -DELETED.length) : path)
  if (names === null || names.length === 0) return null
  if (isDeleted) {
    const hidden = findHidden(daemon, names, id, known)
    if (hidden) return hidden
    // The kernel drops a name also when it was looked up anew as another file; only then the file still has that name.
    if (known?.links === 0) return null
    // Or it has a name that ends so.
    const named = findNamed(translator, namesBelow(mountpoint, path) ?? [], id, known, evidence, 'looks')
    if (named) return named
  }
  const found = findNamed(translator, names, id, known, evidence, isDeleted ? 'looks' : 'path')
  // A removal that was sent again has been answered, and who waited for that may not have told the kernel's names yet.
  return found ?? (isDeleted ? null : findHidden(daemon, names, id, known))
}

/** The same, as far as the inode number proves it: where names may have moved, and the path may be another file's. */
export function findCertain(
  translator: Translator,
  mountpoint: Buffer,
  path: Buffer,
  id: Id,
  known: Known | null,
  evidence: { matches: number },
): Same | null {
  const names = namesBelow(mountpoint, path)
  if (names === null || names.length === 0) return null
  return findNamed(translator, names, id, known, evidence, 'number')
}

/**
 * What proves that a file is the same: that the path leads to it, unless its inode number says otherwise; its inode number
 * alone; or its looks besides the path, where the number says nothing. The last is for what has lost its name and has links
 * all the same: the kernel has not removed it (then it has none), but looked it up anew or was told to. Another folder in its
 * place is what a call would find there now; of a file, size and time of change must be the same.
 */
type Proof = 'path' | 'number' | 'looks'

/** What has these names, if it is the same file. */
function findNamed(
  { daemon, ahead }: Translator,
  names: readonly Buffer[],
  id: Id,
  known: Known | null,
  evidence: { matches: number },
  proof: Proof,
): Same | null {
  const found = walk(daemon, names, ahead)
  if (!found) return null
  const { at, above } = found
  const isByName = isNamedBy(at.ino, above.at(-1)?.ino ?? ROOT.ino, names.at(-1))
  if (isSame(at, id, known, isByName, evidence, proof)) return { low: at.low, high: at.high, above, hidden: null }
  forgetAll(daemon, [...above, at])
  return null
}

/** True of the path of a file that has no name any more, as far as the kernel knows; or of one that is named as if. */
export const isOfNoName = (path: Buffer): boolean => path.subarray(-DELETED.length).equals(DELETED)

/** Removes the name that a daemon had given to an unlinked file while it was open. */
export function removeHidden(daemon: Daemon, names: readonly Buffer[]): void {
  const walked = walkToFolder(daemon, names.slice(0, -1))
  const name = names.at(-1)
  if (!walked || !name) return
  const { at: folder, above } = walked
  daemon.ask('UNLINK', folder.low, folder.high, name, Buffer.alloc(1))
  forgetAll(daemon, [...above, folder])
}

function isSame(
  found: Found,
  id: Id,
  known: Known | null,
  isByName: boolean,
  evidence: { matches: number },
  proof: Proof,
): boolean {
  if (known === null) return proof === 'path'
  if ((found.mode & S_IFMT) !== (known.mode & S_IFMT)) return false
  if (isByName || isNumbered(known, id)) return proof === 'path' || (proof === 'looks' && looksSame(found, known))
  if (known.ino === found.ino) {
    evidence.matches++
    return true
  }
  return proof === 'path' && evidence.matches === 0
}

/** A time in whole seconds tells one file from another only now and then. */
const looksSame = (found: Found, { mode, size, mtime }: Known): boolean =>
  isFolder({ mode }) || (size === found.size && mtime === found.mtime && mtime % SECOND !== 0n)
const SECOND = 1_000_000_000n

/** libfuse's name for a file that was unlinked while open: `.fuse_hidden`, its nodeid and a counter, in 8 hex digits each. */
const HIDDEN = /^\.fuse_hidden([0-9a-f]{8})[0-9a-f]{8}$/

/** The lower half of the nodeid in a hidden file's name; NaN of any other name. */
export const hiddenNode = (name: Buffer): number => Number.parseInt(HIDDEN.exec(name.toString('latin1'))?.[1] ?? '', 16)

/**
 * The nodeid in the name is the one that the file had in the life that hid it, which need not be the one that gave it to
 * the kernel: so the inode number decides, where it says anything. Where it does not, only the name does.
 */
function findHidden(daemon: Daemon, names: readonly Buffer[], id: Id, known: Known | null): Same | null {
  const above = names.slice(0, -1)
  const walked = walkToFolder(daemon, above)
  if (!walked) return null
  const { at: folder } = walked
  const hidden = (namesIn(daemon, folder.low, folder.high) ?? []).filter((name) => !Number.isNaN(hiddenNode(name)))
  const named = hidden.filter((name) => hiddenNode(name) === id.hiddenAs)
  const isTelling = known !== null && !isNumbered(known, id)
  const candidates = isTelling ? [...named, ...hidden.filter((name) => !named.includes(name))] : named
  let same: Same | null = null
  for (const name of isTelling || named.length === 1 ? candidates : []) {
    const found = daemon.lookup(folder.low, folder.high, name)
    if (found === null || typeof found === 'number') continue
    const isOfItsKind = known === null || (found.mode & S_IFMT) === (known.mode & S_IFMT)
    if (isOfItsKind && (!isTelling || found.ino === known.ino)) {
      same = { low: found.low, high: found.high, above: [...walked.above, folder], hidden: [...above, name] }
      break
    }
    daemon.forget(found.low, found.high, 1)
  }
  if (!same) forgetAll(daemon, [...walked.above, folder])
  return same
}

/** True if the daemon shows nodeids for inode numbers, or counts its files: then they say nothing of the file. */
export const isNumbered = (known: Known, id: { readonly low: number; readonly high: number }): boolean =>
  known.ino === ((BigInt(id.high) << 32n) | BigInt(id.low)) ||
  (known.ino >= COUNTED_FROM && known.ino - COUNTED_FROM < MOST_COUNTED)

/**
 * True if the number is made of the name, and so says no more than that: another file of that name has it too, and the same
 * file another one once it is renamed. Source: bazil.org/fuse/fs, GenerateDynamicInode, which is FNV-1a.
 */
export function isNamedBy(ino: bigint, folder: bigint, name: Buffer | undefined): boolean {
  if (name === undefined || ino < MOST_COUNTED) return false
  const head = Buffer.alloc(8)
  head.writeBigUInt64LE(folder)
  let hash = FNV_OFFSET
  for (const byte of Buffer.concat([head, name])) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME)
  return hash === ino
}
const FNV_OFFSET = 0xcbf29ce484222325n
const FNV_PRIME = 0x100000001b3n

/** Where go-fuse begins to number what has no number of its own. */
const COUNTED_FROM = 1n << 63n
const MOST_COUNTED = 1n << 40n

/**
 * Looks up names one in the other, from the root. All that it goes through counts a lookup, with `at` as the last. No name is
 * looked for in what is no folder, as the kernel would not: fuse-overlayfs dies of that. The path may be of before an exchange.
 * @param by the daemon, or what it has said already
 */
function walk(
  daemon: Daemon,
  names: readonly Buffer[],
  by: Daemon | Ahead = daemon,
): { at: Found; above: Found[] } | null {
  let at: Found = ROOT
  const above: Found[] = []
  for (const name of names) {
    const next: Looked = isFolder(at) ? by.lookup(at.low, at.high, name) : null
    if (at !== ROOT) above.push(at)
    if (next === null || typeof next === 'number') {
      forgetAll(daemon, above)
      return null
    }
    at = next
  }
  return { at, above }
}
const ROOT: Found = { low: 1, high: 0, generation: 0, ino: 1n, mode: S_IFDIR, size: 0n, mtime: 0n, rdev: 0 }

/** The same to a folder. */
function walkToFolder(daemon: Daemon, names: readonly Buffer[]): { at: Found; above: Found[] } | null {
  const walked = walk(daemon, names)
  if (!walked || isFolder(walked.at)) return walked
  forgetAll(daemon, [...walked.above, walked.at])
  return null
}

export const isFolder = ({ mode }: Pick<Found, 'mode'>): boolean => (mode & S_IFMT) === S_IFDIR

/** Gives up one lookup of each, the last one first. */
export function forgetAll(daemon: Daemon, found: readonly DaemonId[]): void {
  for (const { low, high } of found.toReversed()) daemon.forget(low, high, 1)
}

/** The names of a path below the mountpoint; null if it is not below it. */
export function namesBelow(mountpoint: Buffer, path: Buffer): Buffer[] | null {
  const isRoot = mountpoint.length === 1
  const start = isRoot ? 0 : mountpoint.length
  if (!isRoot && !path.subarray(0, start).equals(mountpoint)) return null
  if (path.length > start && path[start] !== SLASH) return null
  const names: Buffer[] = []
  for (let at = start + 1; at < path.length; ) {
    const slash = path.indexOf(SLASH, at)
    const end = slash < 0 ? path.length : slash
    if (end > at) names.push(path.subarray(at, end))
    at = end + 1
  }
  return names
}
