// Open files: OPEN, READ, WRITE, RELEASE, FSYNC, FALLOCATE, LSEEK, COPY_FILE_RANGE. Each finds its file by the handle or,
// if an earlier life gave that out, by the nodeid. All may be repeated: the kernel names the offset of every write,
// an append's too.
import { FUSE_FSYNC_FDATASYNC, FUSE_OPEN_KILL_SUIDGID, FUSE_WRITE } from '../fuse/flags.js'
import { layout } from '../fuse/layout.js'
import type { Request } from '../fuse/request.js'
import { chmodAt } from '../native/attributes.js'
import {
  copyFileRange,
  fallocate as fallocateFd,
  fsync as fsyncFd,
  lseek as lseekFd,
  pread,
  pwrite,
} from '../native/files.js'
import { atFlags, openFlags } from '../native/open-flags.js'
import { modeOf, statFd } from './attributes.js'
import { EINVAL } from './errno.js'
import { BODY, type Mirror, type Outcome, scratchAt } from './mirror.js'
import { MAX_WRITE } from './negotiated.js'
import { backingFlags, type OpenFile } from './open-files.js'

const openIn = layout('fuse_open_in')
const openOut = layout('fuse_open_out')
const readIn = layout('fuse_read_in')
const writeIn = layout('fuse_write_in')
const writeOut = layout('fuse_write_out')
const releaseIn = layout('fuse_release_in')
const fsyncIn = layout('fuse_fsync_in')
const fallocateIn = layout('fuse_fallocate_in')
const lseekIn = layout('fuse_lseek_in')
const lseekOut = layout('fuse_lseek_out')
const copyIn = layout('fuse_copy_file_range_in')
const copyOut = layout('fuse_copy_file_range_out')
const { O_ACCMODE, O_RDONLY, O_RDWR } = openFlags

export function open(mirror: Mirror, request: Request): Outcome {
  const { view, body } = request
  const slot = mirror.files.open(mirror.node(request), backingFlags(openIn.flags.get(view, body)))
  if (slot < 0) return slot
  if (openIn.open_flags.get(view, body) & FUSE_OPEN_KILL_SUIDGID) killPrivileges(mirror, request)
  return writeOpened(mirror, slot)
}

/** Replies with fuse_open_out. */
export function writeOpened(mirror: Mirror, slot: number): Outcome {
  const { view } = mirror.reply
  openOut.fh.setHalves(view, BODY, slot, mirror.files.life)
  openOut.open_flags.set(view, BODY, 0)
  openOut.backing_id.set(view, BODY, 0)
  return openOut.$size
}

export function read(mirror: Mirror, request: Request): Outcome {
  const { view, body } = request
  const file = find(mirror, request, readIn.fh, backingFlags(readIn.flags.get(view, body)))
  if (typeof file === 'number') return file
  const size = Math.min(readIn.size.get(view, body), MAX_WRITE)
  return pread(file.fd, mirror.reply.address + BODY, size, readIn.offset.number(view, body))
}

export function write(mirror: Mirror, request: Request): Outcome {
  const { view, body } = request
  // Pages of a mapping come with a guessed handle and no flags: whoever writes can write.
  const told = backingFlags(writeIn.flags.get(view, body))
  const flags = (told & O_ACCMODE) === O_RDONLY ? told | O_RDWR : told
  const file = find(mirror, request, writeIn.fh, flags)
  if (typeof file === 'number') return file
  const size = writeIn.size.get(view, body)
  if (request.tail + size > request.end) return -EINVAL
  if (writeIn.write_flags.get(view, body) & FUSE_WRITE.FUSE_WRITE_KILL_SUIDGID) killPrivileges(mirror, request)
  const from = mirror.message.address + request.tail
  const offset = writeIn.offset.number(view, body)
  let done = 0
  while (done < size) {
    const part = pwrite(file.fd, from + done, size - done, offset + done)
    if (part < 0 && done === 0) return part
    if (part <= 0) break
    done += part
  }
  writeOut.size.set(mirror.reply.view, BODY, done)
  writeOut.padding.set(mirror.reply.view, BODY, 0)
  return writeOut.$size
}

export function release(mirror: Mirror, { view, body }: Request): Outcome {
  mirror.files.release(releaseIn.fh.low(view, body), releaseIn.fh.high(view, body))
  return 0
}

export function fsync(mirror: Mirror, request: Request): Outcome {
  const file = find(mirror, request, fsyncIn.fh, undefined)
  if (typeof file === 'number') return file
  const flags = fsyncIn.fsync_flags.get(request.view, request.body)
  return fsyncFd(file.fd, (flags & FUSE_FSYNC_FDATASYNC) !== 0)
}

export function lseek(mirror: Mirror, request: Request): Outcome {
  const { view, body } = request
  const file = find(mirror, request, lseekIn.fh, undefined)
  if (typeof file === 'number') return file
  const offset = lseekFd(file.fd, lseekIn.offset.get(view, body), lseekIn.whence.get(view, body))
  if (offset < 0) return offset
  lseekOut.offset.setNumber(mirror.reply.view, BODY, offset)
  return lseekOut.$size
}

/** Of one request, so that the others need not wait for a copy of many gigabytes: the caller asks again. */
const MAX_COPY = 16 * MAX_WRITE

function copy(mirror: Mirror, request: Request): number {
  const { view, body } = request
  const from = find(mirror, request, copyIn.fh_in, undefined)
  if (typeof from === 'number') return from
  const { nodeid_out, fh_out } = copyIn
  const target = mirror.nodes.at(nodeid_out.low(view, body), nodeid_out.high(view, body))
  const to = mirror.files.get(fh_out.low(view, body), fh_out.high(view, body), target, undefined)
  if (typeof to === 'number') return to
  const { offsets } = scratchAt
  mirror.scratch.view.setBigInt64(offsets, copyIn.off_in.get(view, body), true)
  mirror.scratch.view.setBigInt64(offsets + 8, copyIn.off_out.get(view, body), true)
  const at = mirror.scratch.address + offsets
  return copyFileRange(from.fd, at, to.fd, at + 8, Math.min(copyIn.len.number(view, body), MAX_COPY))
}

export function copyRange(mirror: Mirror, request: Request): Outcome {
  const copied = copy(mirror, request)
  if (copied < 0) return copied
  writeOut.size.set(mirror.reply.view, BODY, copied)
  writeOut.padding.set(mirror.reply.view, BODY, 0)
  return writeOut.$size
}

export function copyRange64(mirror: Mirror, request: Request): Outcome {
  const copied = copy(mirror, request)
  if (copied < 0) return copied
  copyOut.bytes_copied.setNumber(mirror.reply.view, BODY, copied)
  return copyOut.$size
}

/** The kernel passes on only modes that may be repeated: none that moves what follows. Source: fs/fuse/file.c. */
export function fallocate(mirror: Mirror, request: Request): Outcome {
  const { view, body } = request
  const file = find(mirror, request, fallocateIn.fh, undefined)
  if (typeof file === 'number') return file
  const { mode, offset, length } = fallocateIn
  return fallocateFd(file.fd, mode.get(view, body), offset.number(view, body), length.number(view, body))
}

type HandleField = typeof readIn.fh

const find = (mirror: Mirror, request: Request, fh: HandleField, flags: number | undefined): OpenFile | number =>
  mirror.files.get(fh.low(request.view, request.body), fh.high(request.view, request.body), mirror.node(request), flags)

const S_ISUID = 0o4000
const S_ISGID = 0o2000
const S_IXGRP = 0o10

/**
 * Takes the setuid bit, and the setgid bit of an executable, from the request's file, as the kernel does when anybody
 * without CAP_FSETID changes one. Our own change of the file has that capability.
 */
export function killPrivileges(mirror: Mirror, request: Request): void {
  const fd = mirror.nodeFd(request)
  if (fd < 0 || statFd(mirror, fd) < 0) return
  const mode = modeOf(mirror) & 0o7777
  const kill = S_ISUID | (mode & S_IXGRP ? S_ISGID : 0)
  if (mode & kill) chmodAt(atFlags.AT_FDCWD, mirror.procPath(fd), mode & ~kill)
}
