// New names: MKDIR, MKNOD, SYMLINK, LINK, CREATE, TMPFILE. A new file is its caller's from its first moment, made with
// the caller's file system uid and gid, so that no crash leaves one of root's behind; setgid folders and default ACLs are
// the backing file system's matter.
import { layout } from '../fuse/layout.js'
import type { Request } from '../fuse/request.js'
import { close } from '../native/files.js'
import { atFlags, openFlags } from '../native/open-flags.js'
import { linkAt, mkdirAt, mknodAt, openAt, symlinkAt } from '../native/tree.js'
import { lookUp, lookUpFd } from './attributes.js'
import { EEXIST, ENOENT, EPERM } from './errno.js'
import { BODY, type Mirror, type Outcome } from './mirror.js'
import type { Change } from './once.js'
import { backingFlags } from './open-files.js'
import { isPrivateName } from './private-folder.js'

const mkdirIn = layout('fuse_mkdir_in')
const mknodIn = layout('fuse_mknod_in')
const linkIn = layout('fuse_link_in')
const createIn = layout('fuse_create_in')
const openOut = layout('fuse_open_out')
const { O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW, O_CLOEXEC, O_DIRECTORY, O_RDWR } = openFlags
const O_TMPFILE = 0o20000000 | O_DIRECTORY
const MODE_BITS = 0o7777

/** The address of a name of the request. */
export const nameAt = (mirror: Mirror, at: number): number => mirror.message.address + at

/** True if the name at `at` in the folder of these halves is the private folder's. */
export const isHidden = (mirror: Mirror, low: number, high: number, at: number): boolean =>
  low === 1 && high === 0 && isPrivateName(mirror.message.bytes, at)

/** What every new name has in common: it must be free before, and it was made if it is there afterwards. */
const creating = (
  nameOf: (request: Request) => number,
  execute: (mirror: Mirror, request: Request, folder: number, name: number) => number,
): Change => ({
  before(mirror, request) {
    const folder = mirror.nodeFd(request)
    if (folder < 0) return folder
    if (isHidden(mirror, request.nodeLow, request.nodeHigh, nameOf(request))) return -EPERM
    const found = mirror.nodes.identify(folder, nameAt(mirror, nameOf(request)), 0)
    if (found === -ENOENT) return 1
    return found === 0 ? -EEXIST : found
  },
  done(mirror, request) {
    const folder = mirror.nodeFd(request)
    return folder >= 0 && mirror.nodes.identify(folder, nameAt(mirror, nameOf(request)), 0) === 0
  },
  execute(mirror, request) {
    const folder = mirror.nodeFd(request)
    return folder < 0 ? folder : execute(mirror, request, folder, nameAt(mirror, nameOf(request)))
  },
  answer(mirror, request) {
    const folder = mirror.nodeFd(request)
    return folder < 0 ? folder : lookUp(mirror, folder, nameAt(mirror, nameOf(request)), BODY)
  },
})

const name1 = (request: Request): number => request.name1

export const mkdir = creating(name1, (mirror, request, folder, name) => {
  const { view, body } = request
  mirror.actAs(request, mkdirIn.umask.get(view, body))
  return mkdirAt(folder, name, mkdirIn.mode.get(view, body) & MODE_BITS)
})

export const mknod = creating(name1, (mirror, request, folder, name) => {
  const { view, body } = request
  mirror.actAs(request, mknodIn.umask.get(view, body))
  return mknodAt(folder, name, mknodIn.mode.get(view, body), mknodIn.rdev.get(view, body))
})

/** The new name comes first, then what the link says. */
export const symlink = creating(name1, (mirror, request, folder, name) => {
  mirror.actAs(request, 0)
  return symlinkAt(nameAt(mirror, request.name2), folder, name)
})

const newLink = creating(name1, (mirror, request, folder, name) => {
  const { view, body } = request
  const { oldnodeid } = linkIn
  const old = mirror.nodes.pathFd(mirror.nodes.at(oldnodeid.low(view, body), oldnodeid.high(view, body)))
  return old < 0 ? old : linkAt(old, mirror.empty, folder, name, atFlags.AT_EMPTY_PATH)
})

/** A file that had no name now has one, and need not be kept. */
export const link: Change = {
  ...newLink,
  answer(mirror, request) {
    const { view, body } = request
    const { oldnodeid } = linkIn
    const node = mirror.nodes.at(oldnodeid.low(view, body), oldnodeid.high(view, body))
    if (node.pinned) mirror.folder.unpin(node)
    return newLink.answer(mirror, request)
  },
}

/** The descriptor that `execute` of CREATE or TMPFILE leaves for `answer`; -1 if an earlier life made the file. */
let created = -1

const newFile = creating(name1, (mirror, request, folder, name) => {
  const { view, body } = request
  const flags = createIn.flags.get(view, body)
  mirror.actAs(request, createIn.umask.get(view, body))
  const how = backingFlags(flags) | (flags & (O_EXCL | O_TRUNC)) | O_CREAT | O_NOFOLLOW | O_CLOEXEC
  created = openAt(folder, name, how, createIn.mode.get(view, body) & MODE_BITS)
  return created
})

export const create: Change = {
  ...newFile,
  before(mirror, request) {
    created = -1
    const free = newFile.before(mirror, request)
    const exclusive = (createIn.flags.get(request.view, request.body) & O_EXCL) !== 0
    return free === -EEXIST && !exclusive ? 0 : free
  },
  done(mirror, request) {
    created = -1
    return newFile.done(mirror, request)
  },
  answer(mirror, request) {
    const entry = created < 0 ? newFile.answer(mirror, request) : lookUpFd(mirror, created, BODY)
    return opened(mirror, request, entry)
  },
}

/**
 * A file without a name is kept by the private folder from its first moment. One that a life made and did not answer is
 * unknown to the kernel, and swept up by the next (sweep.ts); so this may be repeated.
 */
export const tmpfile: Change = {
  before: () => 0,
  done: () => false,
  execute(mirror, request) {
    const { view, body } = request
    const folder = mirror.nodeFd(request)
    if (folder < 0) return folder
    mirror.actAs(request, createIn.umask.get(view, body))
    const mode = createIn.mode.get(view, body) & MODE_BITS
    created = openAt(folder, mirror.dot, O_TMPFILE | O_RDWR | O_CLOEXEC, mode)
    return created
  },
  answer(mirror, request) {
    const found = mirror.nodes.identify(created, mirror.empty, atFlags.AT_EMPTY_PATH)
    if (found === 0) mirror.folder.pinOpen(mirror.nodes.foundNode, created, mirror.empty)
    return opened(mirror, request, lookUpFd(mirror, created, BODY))
  },
}

/** Adds fuse_open_out behind the entry. */
function opened(mirror: Mirror, request: Request, entry: Outcome): Outcome {
  if (entry < 0) {
    if (created >= 0) close(created)
    return entry
  }
  const flags = backingFlags(createIn.flags.get(request.view, request.body))
  const node = mirror.nodes.foundNode
  const slot = created < 0 ? mirror.files.open(node, flags) : mirror.files.add(created, node, flags)
  created = -1
  if (slot < 0) {
    // The kernel does not hear of the entry.
    node.lookups--
    return slot
  }
  const { view } = mirror.reply
  const at = BODY + entry
  openOut.fh.setHalves(view, at, slot, mirror.files.life)
  openOut.open_flags.set(view, at, 0)
  openOut.backing_id.set(view, at, 0)
  return entry + openOut.$size
}
