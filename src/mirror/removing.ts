// Names that go or move: UNLINK, RMDIR, RENAME, RENAME2. A file that loses its last name is given a link in the private
// folder first, for the kernel may hold it: open, mapped, or by an O_PATH descriptor that nobody tells us of. The kernel's
// FORGET takes the link away again.
import { layout } from '../fuse/layout.js'
import type { Request } from '../fuse/request.js'
import { atFlags } from '../native/open-flags.js'
import { renameAt, renameFlags, unlinkAt } from '../native/tree.js'
import { linksOf, modeOf, statFd, statName } from './attributes.js'
import { isHidden, nameAt } from './creating.js'
import { EDQUOT, EMLINK, ENOENT, ENOSPC, EPERM } from './errno.js'
import type { Mirror } from './mirror.js'
import type { Node } from './nodes.js'
import { type Change, nothing } from './once.js'

const renameIn = layout('fuse_rename_in')
const rename2In = layout('fuse_rename2_in')
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
const { RENAME_EXCHANGE } = renameFlags

/** What removing a name has in common: the record says which file had it. */
const removing = (execute: (mirror: Mirror, folder: number, name: number) => number): Change => ({
  before(mirror, request) {
    const folder = mirror.nodeFd(request)
    if (folder < 0) return folder
    if (isHidden(mirror, request.nodeLow, request.nodeHigh, request.name1)) return -ENOENT
    const found = mirror.nodes.identify(folder, nameAt(mirror, request.name1), 0)
    if (found < 0) return found
    mirror.intent.setNode(mirror.nodes.foundLow, mirror.nodes.foundHigh)
    return 1
  },
  done(mirror, request) {
    const folder = mirror.nodeFd(request)
    if (folder < 0) return true
    const found = mirror.nodes.identify(folder, nameAt(mirror, request.name1), 0)
    return found < 0 || !mirror.nodes.isFound(mirror.intent.nodeLow, mirror.intent.nodeHigh)
  },
  execute(mirror, request) {
    const folder = mirror.nodeFd(request)
    return folder < 0 ? folder : execute(mirror, folder, nameAt(mirror, request.name1))
  },
  answer: nothing,
})

export const unlink = removing((mirror, folder, name) => {
  const node = pinLast(mirror, folder, name)
  if (typeof node === 'number') return node
  const result = unlinkAt(folder, name, 0)
  if (result < 0) unpinNamed(mirror, node)
  return result
})

/** A folder cannot be linked: one that is removed while held answers ESTALE in later lives. */
export const rmdir = removing((_mirror, folder, name) => unlinkAt(folder, name, atFlags.AT_REMOVEDIR))

const renaming = (newFolder: typeof renameIn.newdir, flagsOf: (request: Request) => number): Change => {
  const target = (mirror: Mirror, request: Request): number => {
    const { view, body } = request
    return mirror.nodes.pathFd(mirror.nodes.at(newFolder.low(view, body), newFolder.high(view, body)))
  }
  return {
    before(mirror, request) {
      const { nodes, intent } = mirror
      const { view, body } = request
      const source = mirror.nodeFd(request)
      if (source < 0) return source
      const folder = target(mirror, request)
      if (folder < 0) return folder
      if (isHidden(mirror, request.nodeLow, request.nodeHigh, request.name1)) return -ENOENT
      if (isHidden(mirror, newFolder.low(view, body), newFolder.high(view, body), request.name2)) return -EPERM
      const found = nodes.identify(source, nameAt(mirror, request.name1), 0)
      if (found < 0) return found
      intent.setNode(nodes.foundLow, nodes.foundHigh)
      return 1
    },
    /** The file has its new name, and the old one is gone or another's (exchanged, or a whiteout). */
    done(mirror, request) {
      const { nodes, intent } = mirror
      const source = mirror.nodeFd(request)
      const folder = target(mirror, request)
      if (source < 0 || folder < 0) return false
      if (nodes.identify(folder, nameAt(mirror, request.name2), 0) < 0) return false
      if (!nodes.isFound(intent.nodeLow, intent.nodeHigh)) return false
      const left = nodes.identify(source, nameAt(mirror, request.name1), 0)
      return left < 0 || !nodes.isFound(intent.nodeLow, intent.nodeHigh)
    },
    execute(mirror, request) {
      const source = mirror.nodeFd(request)
      if (source < 0) return source
      const folder = target(mirror, request)
      if (folder < 0) return folder
      const flags = flagsOf(request)
      const oldName = nameAt(mirror, request.name1)
      const newName = nameAt(mirror, request.name2)
      const replaced = flags & RENAME_EXCHANGE ? -ENOENT : pinLast(mirror, folder, newName)
      const result = renameAt(source, oldName, folder, newName, flags)
      if (typeof replaced !== 'number') unpinNamed(mirror, replaced)
      return result
    },
    answer: nothing,
  }
}

export const rename = renaming(renameIn.newdir, () => 0)
export const rename2 = renaming(rename2In.newdir, ({ view, body }) => rename2In.flags.get(view, body))

/** That the disk is full must not keep anybody from removing a file: then it goes without its link. */
const forgiven = [-ENOSPC, -EDQUOT, -EMLINK]

/** Pins the file that is about to lose the name if it is its last. The file, or a negative errno. */
function pinLast(mirror: Mirror, folder: number, name: number): Node | number {
  const found = mirror.nodes.identify(folder, name, 0)
  if (found < 0) return found
  const node = mirror.nodes.foundNode
  const stat = statName(mirror, folder, name)
  if (stat < 0) return stat
  if (node.pinned || (modeOf(mirror) & S_IFMT) === S_IFDIR || linksOf(mirror, node) > 1) return node
  const pinned = mirror.folder.pin(node, folder, name)
  return pinned < 0 && !forgiven.includes(pinned) ? pinned : node
}

/** Takes the pin away if the file kept a name after all: the change failed, or the rename was of a file onto itself. */
function unpinNamed(mirror: Mirror, node: Node): void {
  if (!node.pinned) return
  const fd = mirror.nodes.pathFd(node)
  if (fd >= 0 && statFd(mirror, fd) === 0 && linksOf(mirror, node) > 0) mirror.folder.unpin(node)
}
