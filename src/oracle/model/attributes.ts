// Rules of what stands in an inode: stat, modes, times, extended attributes.
import { type Impossible, impossible } from '../answer.js'
import type { Kind } from '../operations.js'
import { factsOf, type Model, type Rule } from './model.js'
import { type FileNode, type FolderNode, walk } from './tree.js'

type AttributeKind = 'stat' | 'chmod' | 'utimes' | 'setxattr' | 'getxattr' | 'listxattr' | 'removexattr'

const done = { done: true } as const
const fails = (errno: string) => ({ errno })

export const attributeRules: { [K in AttributeKind & Kind]: Rule<K> } = {
  /** Of the symbolic link itself, as lstat(2). */
  stat(model, { path }) {
    const found = walk(model.root, path, false)
    if ('errno' in found) return found
    if (found.node?.type === 'folder') found.node.isChanged = false
    return found.node ? { facts: factsOf(found.node) } : fails('ENOENT')
  },
  chmod: (model, { path, mode }) =>
    at(model, path, (node) => {
      node.mode = mode
      return done
    }),
  utimes: (model, { path, mtime }) =>
    at(model, path, (node) => {
      node.mtime = node.type === 'file' && node.wasMapped ? undefined : mtime
      return done
    }),
  setxattr: (model, { path, name, value, how }) =>
    at(model, path, ({ xattrs }) => {
      if (how === 'create' && xattrs.has(name)) return fails('EEXIST')
      if (how === 'replace' && !xattrs.has(name)) return fails('ENODATA')
      xattrs.set(name, value)
      return done
    }),
  getxattr: (model, { path, name }) =>
    at(model, path, ({ xattrs }) => {
      const value = xattrs.get(name)
      return value === undefined ? fails('ENODATA') : { text: value }
    }),
  listxattr: (model, { path }) => at(model, path, ({ xattrs }) => ({ names: [...xattrs.keys()] })),
  removexattr: (model, { path, name }) =>
    at(model, path, ({ xattrs }) => (xattrs.delete(name) ? done : fails('ENODATA'))),
}

function at<T>(
  model: Model,
  path: string,
  use: (node: FileNode | FolderNode) => T,
): T | { readonly errno: string } | Impossible {
  const found = walk(model.root, path, true)
  if ('errno' in found) return found
  const { node } = found
  if (!node) return fails('ENOENT')
  return node.type === 'symlink' ? impossible : use(node)
}
