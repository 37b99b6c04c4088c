// Extended attributes: SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR, of the file behind the node's descriptor.
import { FUSE_SETXATTR_ACL_KILL_SGID } from '../fuse/flags.js'
import { layout } from '../fuse/layout.js'
import type { Request } from '../fuse/request.js'
import { chmodAt } from '../native/attributes.js'
import { atFlags } from '../native/open-flags.js'
import { getXattr, listXattr, removeXattr, setXattr, xattrFlags } from '../native/xattr.js'
import { modeOf, statFd } from './attributes.js'
import { nameAt } from './creating.js'
import { EEXIST, EINVAL, ENODATA } from './errno.js'
import { BODY, type Mirror, type Outcome } from './mirror.js'
import { MAX_WRITE } from './negotiated.js'
import { type Change, nothing } from './once.js'

const setxattrIn = layout('fuse_setxattr_in')
const getxattrIn = layout('fuse_getxattr_in')
const getxattrOut = layout('fuse_getxattr_out')

export const getxattr = (mirror: Mirror, request: Request): Outcome =>
  sized(mirror, request, (path, value, size) => getXattr(path, nameAt(mirror, request.name1), value, size))

export const listxattr = (mirror: Mirror, request: Request): Outcome => sized(mirror, request, listXattr)

/** With size 0 the length is asked for, otherwise the bytes. */
function sized(mirror: Mirror, request: Request, get: (path: number, at: number, size: number) => number): Outcome {
  const fd = mirror.nodeFd(request)
  if (fd < 0) return fd
  const size = Math.min(getxattrIn.size.get(request.view, request.body), MAX_WRITE)
  const length = get(mirror.procPath(fd), mirror.reply.address + BODY, size)
  if (length < 0 || size > 0) return length
  getxattrOut.size.set(mirror.reply.view, BODY, length)
  getxattrOut.padding.set(mirror.reply.view, BODY, 0)
  return getxattrOut.$size
}

/** The length of the attribute that the request names, or a negative errno. */
function present(mirror: Mirror, request: Request): number {
  const fd = mirror.nodeFd(request)
  return fd < 0 ? fd : getXattr(mirror.procPath(fd), nameAt(mirror, request.name1), 0, 0)
}

export const setxattr: Change = {
  /** Only making one anew cannot be repeated. */
  before(mirror, request) {
    if (!(setxattrIn.flags.get(request.view, request.body) & xattrFlags.XATTR_CREATE)) return 0
    const length = present(mirror, request)
    if (length >= 0) return -EEXIST
    return length === -ENODATA ? 1 : length
  },
  done: (mirror, request) => present(mirror, request) >= 0,
  execute(mirror, request) {
    const { view, body } = request
    const fd = mirror.nodeFd(request)
    if (fd < 0) return fd
    const size = setxattrIn.size.get(view, body)
    if (request.tail + size > request.end) return -EINVAL
    const value = nameAt(mirror, request.tail)
    const flags = setxattrIn.flags.get(view, body)
    const result = setXattr(mirror.procPath(fd), nameAt(mirror, request.name1), value, size, flags)
    if (result >= 0 && setxattrIn.setxattr_flags.get(view, body) & FUSE_SETXATTR_ACL_KILL_SGID) killSetgid(mirror, fd)
    return result
  },
  answer: nothing,
}

export const removexattr: Change = {
  /** One that is not there is left to the file system to refuse. */
  before: (mirror, request) => (present(mirror, request) >= 0 ? 1 : 0),
  done: (mirror, request) => present(mirror, request) === -ENODATA,
  execute(mirror, request) {
    const fd = mirror.nodeFd(request)
    return fd < 0 ? fd : removeXattr(mirror.procPath(fd), nameAt(mirror, request.name1))
  },
  answer: nothing,
}

const S_ISGID = 0o2000

function killSetgid(mirror: Mirror, fd: number): void {
  if (statFd(mirror, fd) < 0 || !(modeOf(mirror) & S_ISGID)) return
  chmodAt(atFlags.AT_FDCWD, mirror.procPath(fd), modeOf(mirror) & 0o7777 & ~S_ISGID)
}
