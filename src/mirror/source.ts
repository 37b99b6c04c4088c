// The folder that is mirrored, taken as a mount of its own that is attached nowhere: file systems mounted below it are
// not part of it, so inode numbers are unique, and its files can be opened by handle.

import { fstatfs, STATX_BASIC_STATS, STATX_SIZE, statx } from '../native/attributes.js'
import { errnoText } from '../native/error.js'
import { cstring } from '../native/ffi.js'
import { close } from '../native/files.js'
import { allocate } from '../native/memory.js'
import { atFlags, openFlags } from '../native/open-flags.js'
import { openAt, openDetached } from '../native/tree.js'
import { handleTypeOf } from './handle-types.js'
import { MirrorError } from './messages.js'
import { handleOf, Nodes, type Root } from './nodes.js'

export interface Source extends Root {
  readonly path: string
}

const { O_RDONLY, O_DIRECTORY, O_CLOEXEC, O_PATH } = openFlags

/** @throws MirrorError SOURCE_UNUSABLE, NO_RIGHTS, NO_HANDLES */
export function openSource(path: string): Source {
  const tree = openDetached(atFlags.AT_FDCWD, cstring(path), O_CLOEXEC)
  if (tree === -EPERM) throw new MirrorError('NO_RIGHTS', `open_tree: ${errnoText(EPERM)} (CAP_SYS_ADMIN)`)
  if (tree < 0) throw new MirrorError('SOURCE_UNUSABLE', `${path}: ${errnoText(-tree)}`)
  const fd = openAt(tree, cstring('.'), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  close(tree)
  if (fd < 0) throw new MirrorError('SOURCE_UNUSABLE', `${path}: ${errnoText(-fd)}`)
  const root = handleOf(fd)
  if (typeof root === 'number') throw new MirrorError('NO_HANDLES', `${path}: ${errnoText(-root)}`)
  const magic = fileSystem(fd)
  const type = handleTypeOf(root.type, root.handle.length, magic)
  if (!type)
    throw new MirrorError(
      'NO_HANDLES',
      `${path}: handles of type 0x${root.type.toString(16)} with ${root.handle.length} bytes on 0x${magic.toString(16)}`,
    )
  const source = { fd, type, handle: root.handle, path }
  const nodes = new Nodes(source, 1)
  const again = nodes.open(nodes.root, O_PATH)
  if (again === -EPERM)
    throw new MirrorError('NO_RIGHTS', `open_by_handle_at: ${errnoText(EPERM)} (CAP_DAC_READ_SEARCH)`)
  if (again < 0) throw new MirrorError('NO_HANDLES', `${path}: ${errnoText(-again)}`)
  close(again)
  return source
}

const EPERM = 1

function fileSystem(fd: number): number {
  const block = allocate(256)
  return fstatfs(fd, block.address) < 0 ? 0 : block.view.getUint32(0, true)
}

/** The type bits of the source's mode, in octal, as the mount wants them. */
export function rootMode(fd: number): string {
  const block = allocate(STATX_SIZE + 8)
  statx(fd, block.address + STATX_SIZE, atFlags.AT_EMPTY_PATH, STATX_BASIC_STATS, block.address)
  return (block.view.getUint16(28, true) & 0o170000).toString(8)
}
