// Attributes: from a struct statx to the structs of the protocol. struct statx and fuse_statx have the same layout.
import { layout } from '../fuse/layout.js'
import { STATX_BASIC_STATS, statx } from '../native/attributes.js'
import { atFlags } from '../native/open-flags.js'
import { EIO } from './errno.js'
import { BODY, type Mirror, type Outcome, scratchAt } from './mirror.js'
import { VALID_SECONDS } from './negotiated.js'
import type { Node } from './nodes.js'

export const from = layout('fuse_statx')
const { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, AT_NO_AUTOMOUNT } = atFlags
const entry = layout('fuse_entry_out')
const attrOut = layout('fuse_attr_out')
const attr = layout('fuse_attr')
const S = scratchAt.statx

/** Reads the attributes of what `fd` is open on into the scratch. 0 or a negative errno. */
export const statFd = (mirror: Mirror, fd: number): number =>
  statx(fd, mirror.empty, AT_EMPTY_PATH, STATX_BASIC_STATS, mirror.scratch.address + S)

/** The same of `name`, an address, in the folder `fd`. A symbolic link is not followed. */
export const statName = (mirror: Mirror, fd: number, name: number): number =>
  statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, mirror.scratch.address + S)

/**
 * How many links the scratch's file has that the mount shows: not its pin, and not the private folder's `..` in the root
 * (some file systems do not count folders: then it has 1).
 */
export function linksOf(mirror: Mirror, node: Node): number {
  const links = from.nlink.get(mirror.scratch.view, S)
  if (node === mirror.nodes.root) return links > 2 && mirror.folder.stateFd >= 0 ? links - 1 : links
  return node.pinned ? links - 1 : links
}

export const modeOf = (mirror: Mirror): number => from.mode.get(mirror.scratch.view, S)

/** Replies with a node's attributes, fuse_attr_out. */
export function attributes(mirror: Mirror, node: Node): Outcome {
  const { view } = mirror.reply
  attrOut.attr_valid.setHalves(view, BODY, VALID_SECONDS, 0)
  attrOut.attr_valid_nsec.set(view, BODY, 0)
  attrOut.dummy.set(view, BODY, 0)
  writeAttr(mirror, node, BODY + attrOut.attr.$offset)
  return attrOut.$size
}

/** How often a name may change hands between two looks at it. */
const LOOKS = 16

/**
 * Looks `name` up in the folder `fd` and writes its fuse_entry_out at `at` of the reply: the kernel then counts one
 * lookup. The length written, or a negative errno.
 */
export function lookUp(mirror: Mirror, fd: number, name: number, at: number): Outcome {
  const { nodes } = mirror
  for (let look = 0; look < LOOKS; look++) {
    const found = nodes.identify(fd, name, 0)
    if (found < 0) return found
    const stat = statName(mirror, fd, name)
    if (stat < 0) return stat
    // Two calls: whoever changes the source directly may have put another file there between them.
    if (from.ino.low(mirror.scratch.view, S) !== nodes.foundLow) continue
    return writeEntry(mirror, nodes.foundNode, at)
  }
  return -EIO
}

/** The same for a file that is open, whose name may have changed. */
export function lookUpFd(mirror: Mirror, fd: number, at: number): Outcome {
  const found = mirror.nodes.identify(fd, mirror.empty, AT_EMPTY_PATH)
  if (found < 0) return found
  const stat = statFd(mirror, fd)
  return stat < 0 ? stat : writeEntry(mirror, mirror.nodes.foundNode, at)
}

function writeEntry(mirror: Mirror, node: Node, at: number): number {
  const { view } = mirror.reply
  entry.nodeid.setHalves(view, at, node.low, node.high)
  entry.generation.setHalves(view, at, 0, 0)
  entry.entry_valid.setHalves(view, at, VALID_SECONDS, 0)
  entry.attr_valid.setHalves(view, at, VALID_SECONDS, 0)
  entry.entry_valid_nsec.set(view, at, 0)
  entry.attr_valid_nsec.set(view, at, 0)
  writeAttr(mirror, node, at + entry.attr.$offset)
  node.lookups++
  return entry.$size
}

function writeAttr(mirror: Mirror, node: Node, at: number): void {
  const source = mirror.scratch.view
  const { view } = mirror.reply
  attr.ino.setHalves(view, at, from.ino.low(source, S), from.ino.high(source, S))
  attr.size.setHalves(view, at, from.size.low(source, S), from.size.high(source, S))
  attr.blocks.setHalves(view, at, from.blocks.low(source, S), from.blocks.high(source, S))
  attr.atime.setHalves(view, at, from.atime.tv_sec.low(source, S), from.atime.tv_sec.high(source, S))
  attr.mtime.setHalves(view, at, from.mtime.tv_sec.low(source, S), from.mtime.tv_sec.high(source, S))
  attr.ctime.setHalves(view, at, from.ctime.tv_sec.low(source, S), from.ctime.tv_sec.high(source, S))
  attr.atimensec.set(view, at, from.atime.tv_nsec.get(source, S))
  attr.mtimensec.set(view, at, from.mtime.tv_nsec.get(source, S))
  attr.ctimensec.set(view, at, from.ctime.tv_nsec.get(source, S))
  attr.mode.set(view, at, from.mode.get(source, S))
  attr.nlink.set(view, at, linksOf(mirror, node))
  attr.uid.set(view, at, from.uid.get(source, S))
  attr.gid.set(view, at, from.gid.get(source, S))
  attr.rdev.set(view, at, encodeDevice(from.rdev_major.get(source, S), from.rdev_minor.get(source, S)))
  attr.blksize.set(view, at, from.blksize.get(source, S))
  attr.flags.set(view, at, 0)
}

/** new_encode_dev() of include/linux/kdev_t.h. */
const encodeDevice = (major: number, minor: number): number => (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)
