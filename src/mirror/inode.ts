// What stands in an inode: GETATTR, SETATTR, STATX, READLINK, STATFS.
import { FATTR, FUSE_GETATTR_FH } from '../fuse/flags.js'
import { layout } from '../fuse/layout.js'
import type { Request } from '../fuse/request.js'
import {
  chmodAt,
  chownAt,
  fstatfs,
  STATX_BASIC_STATS,
  STATX_BTIME,
  statfs64,
  statx as statxFd,
  UTIME_NOW,
  UTIME_OMIT,
  utimensAt,
} from '../native/attributes.js'
import { truncate } from '../native/files.js'
import { atFlags } from '../native/open-flags.js'
import { readlinkAt } from '../native/tree.js'
import { attributes, from, linksOf, statFd } from './attributes.js'
import { killPrivileges } from './data.js'
import { ESTALE } from './errno.js'
import { BODY, type Mirror, type Outcome, scratchAt } from './mirror.js'
import { VALID_SECONDS } from './negotiated.js'

const getattrIn = layout('fuse_getattr_in')
const setattrIn = layout('fuse_setattr_in')
const statxIn = layout('fuse_statx_in')
const statxOut = layout('fuse_statx_out')
const kstatfs = layout('fuse_kstatfs')
const { AT_FDCWD, AT_EMPTY_PATH } = atFlags

export function getattr(mirror: Mirror, request: Request): Outcome {
  const fd = inodeFd(mirror, request, getattrIn)
  if (fd < 0) return fd
  const stat = statFd(mirror, fd)
  return stat < 0 ? stat : attributes(mirror, mirror.node(request))
}

/** Asked only for what GETATTR does not tell: the birth time. */
export function statx(mirror: Mirror, request: Request): Outcome {
  const fd = inodeFd(mirror, request, statxIn)
  if (fd < 0) return fd
  const { scratch } = mirror
  const S = scratchAt.statx
  const mask = STATX_BASIC_STATS | STATX_BTIME
  const stat = statxFd(fd, mirror.empty, AT_EMPTY_PATH, mask, scratch.address + S)
  if (stat < 0) return stat
  const { view, bytes } = mirror.reply
  bytes.fill(0, BODY, BODY + statxOut.$size)
  statxOut.attr_valid.setHalves(view, BODY, VALID_SECONDS, 0)
  // The two structs are alike up to the device numbers.
  scratch.bytes.copy(bytes, BODY + statxOut.stat.$offset, S, S + from.spare2.offset)
  statxOut.stat.nlink.set(view, BODY, linksOf(mirror, mirror.node(request)))
  return statxOut.$size
}

/** A descriptor of the request's inode: its node's, or an open handle's if the file has gone from the file system. */
function inodeFd(mirror: Mirror, request: Request, struct: typeof getattrIn | typeof statxIn): number {
  const fd = mirror.nodeFd(request)
  const { view, body } = request
  if (fd !== -ESTALE || !(struct.getattr_flags.get(view, body) & FUSE_GETATTR_FH)) return fd
  const file = mirror.files.get(struct.fh.low(view, body), struct.fh.high(view, body), mirror.node(request), undefined)
  return typeof file === 'number' ? fd : file.fd
}

const UNCHANGED = 0xffff_ffff

export function setattr(mirror: Mirror, request: Request): Outcome {
  const { view, body } = request
  const valid = setattrIn.valid.get(view, body)
  const fd = mirror.nodeFd(request)
  if (fd < 0) return fd
  let result = 0
  // The owner first: changing it takes the setuid bits from the mode.
  if (valid & (FATTR.FATTR_UID | FATTR.FATTR_GID)) {
    const uid = valid & FATTR.FATTR_UID ? setattrIn.uid.get(view, body) : UNCHANGED
    const gid = valid & FATTR.FATTR_GID ? setattrIn.gid.get(view, body) : UNCHANGED
    result = chownAt(fd, mirror.empty, uid, gid, AT_EMPTY_PATH)
    if (result < 0) return result
  }
  if (valid & FATTR.FATTR_MODE) {
    result = chmodAt(AT_FDCWD, mirror.procPath(fd), setattrIn.mode.get(view, body) & 0o7777)
    if (result < 0) return result
  }
  if (valid & FATTR.FATTR_SIZE) {
    if (valid & FATTR.FATTR_KILL_SUIDGID) killPrivileges(mirror, request)
    result = truncate(mirror.procPath(fd), setattrIn.size.number(view, body))
    if (result < 0) return result
  }
  if (valid & (FATTR.FATTR_ATIME | FATTR.FATTR_MTIME)) {
    result = setTimes(mirror, request, fd, valid)
    if (result < 0) return result
  }
  const stat = statFd(mirror, fd)
  return stat < 0 ? stat : attributes(mirror, mirror.node(request))
}

function setTimes(mirror: Mirror, { view, body }: Request, fd: number, valid: number): number {
  const times = mirror.scratch.view
  const at = scratchAt.times
  const { atime, mtime, atimensec, mtimensec } = setattrIn
  const atimeNs = valid & FATTR.FATTR_ATIME_NOW ? UTIME_NOW : atimensec.get(view, body)
  const mtimeNs = valid & FATTR.FATTR_MTIME_NOW ? UTIME_NOW : mtimensec.get(view, body)
  times.setUint32(at, atime.low(view, body), true)
  times.setUint32(at + 4, atime.high(view, body), true)
  times.setUint32(at + 8, valid & FATTR.FATTR_ATIME ? atimeNs : UTIME_OMIT, true)
  times.setUint32(at + 12, 0, true)
  times.setUint32(at + 16, mtime.low(view, body), true)
  times.setUint32(at + 20, mtime.high(view, body), true)
  times.setUint32(at + 24, valid & FATTR.FATTR_MTIME ? mtimeNs : UTIME_OMIT, true)
  times.setUint32(at + 28, 0, true)
  return utimensAt(fd, mirror.empty, mirror.scratch.address + at, AT_EMPTY_PATH)
}

/** The kernel takes at most a page, and adds the NUL itself. */
const MAX_LINK = 4095

export function readlink(mirror: Mirror, request: Request): Outcome {
  const fd = mirror.nodeFd(request)
  return fd < 0 ? fd : readlinkAt(fd, mirror.empty, mirror.reply.address + BODY, MAX_LINK)
}

export function statfs(mirror: Mirror): Outcome {
  const at = scratchAt.statfs
  const result = fstatfs(mirror.source.fd, mirror.scratch.address + at)
  if (result < 0) return result
  const source = mirror.scratch.view
  const { view, bytes } = mirror.reply
  bytes.fill(0, BODY, BODY + kstatfs.$size)
  for (const [field, offset] of wideCounts)
    kstatfs[field].setHalves(view, BODY, source.getUint32(at + offset, true), source.getUint32(at + offset + 4, true))
  kstatfs.bsize.set(view, BODY, source.getUint32(at + statfs64.f_bsize, true))
  kstatfs.namelen.set(view, BODY, source.getUint32(at + statfs64.f_namelen, true))
  kstatfs.frsize.set(view, BODY, source.getUint32(at + statfs64.f_frsize, true))
  return kstatfs.$size
}

const wideCounts = [
  ['blocks', statfs64.f_blocks],
  ['bfree', statfs64.f_bfree],
  ['bavail', statfs64.f_bavail],
  ['files', statfs64.f_files],
  ['ffree', statfs64.f_ffree],
] as const
