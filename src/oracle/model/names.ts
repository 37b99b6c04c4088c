// Rules of names: what is made, removed, moved and listed. The order of the checks is the kernel's (fs/namei.c).
import { impossible } from '../answer.js'
import type { Arguments, Kind } from '../operations.js'
import type { Model, Rule } from './model.js'
import { dropNode, type Found, isWithin, newFolder, setName, walk } from './tree.js'

type NameKind =
  | 'mkdir'
  | 'rmdir'
  | 'unlink'
  | 'link'
  | 'symlink'
  | 'readlink'
  | 'rename'
  | 'readdir'
  | 'opendir'
  | 'readSome'
  | 'closedir'

const done = { done: true } as const
const fails = (errno: string) => ({ errno })

export const nameRules: { [K in NameKind & Kind]: Rule<K> } = {
  mkdir(model, { path, mode }) {
    const found = walk(model.root, path, false)
    if ('errno' in found) return found
    if (found.node) return fails('EEXIST')
    setName(found.folder, found.name, newFolder(model.modeOfNew(mode), found.folder))
    return done
  },
  rmdir(model, { path }) {
    const found = walk(model.root, path, false)
    if ('errno' in found) return found
    const { node } = found
    if (!node) return fails('ENOENT')
    if (node.type !== 'folder') return fails('ENOTDIR')
    if (node === model.root) return impossible
    if (node.entries.size > 0) return fails('ENOTEMPTY')
    remove(found)
    return done
  },
  unlink(model, { path }) {
    const found = walk(model.root, path, false)
    if ('errno' in found) return found
    if (!found.node) return fails('ENOENT')
    if (found.node.type === 'folder') return fails('EISDIR')
    if (losesOpenFile(model, found)) return impossible
    remove(found)
    return done
  },
  link(model, { from, to }) {
    const source = walk(model.root, from, false)
    if ('errno' in source) return source
    if (!source.node) return fails('ENOENT')
    const target = walk(model.root, to, false)
    if ('errno' in target) return target
    if (target.node) return fails('EEXIST')
    if (source.node.type === 'folder') return fails('EPERM')
    if (source.node.type === 'symlink') return impossible
    source.node.links++
    setName(target.folder, target.name, source.node)
    return done
  },
  symlink(model, { target, path }) {
    const found = walk(model.root, path, false)
    if ('errno' in found) return found
    if (found.node) return fails('EEXIST')
    setName(found.folder, found.name, { type: 'symlink', target })
    return done
  },
  readlink(model, { path }) {
    const found = walk(model.root, path, false)
    if ('errno' in found) return found
    if (!found.node) return fails('ENOENT')
    return found.node.type === 'symlink' ? { text: found.node.target } : fails('EINVAL')
  },
  rename(model, operation) {
    const source = walk(model.root, operation.from, false)
    if ('errno' in source) return source
    const target = walk(model.root, operation.to, false)
    if ('errno' in target) return target
    if (source.node === model.root || target.node === model.root) return impossible
    return rename(model, source, target, operation.how)
  },
  readdir(model, { path }) {
    const found = walk(model.root, path, true)
    if ('errno' in found) return found
    if (!found.node) return fails('ENOENT')
    return found.node.type === 'folder' ? { names: [...found.node.entries.keys()] } : fails('ENOTDIR')
  },
  opendir(model, { folder, path }) {
    if (model.folders.has(folder)) return impossible
    const found = walk(model.root, path, true)
    if ('errno' in found) return found
    const { node } = found
    if (!node) return fails('ENOENT')
    if (node.type !== 'folder') return fails('ENOTDIR')
    const unsettled = model.left.has('changingRead')
    const names = new Set(node.entries.keys())
    // Who can't look at the listing can only see by its time that a folder has changed, and not since when.
    const isSettled = !(unsettled && node.isChanged)
    const reading = {
      folder: node,
      sure: isSettled ? names : new Set<string>(),
      maybe: isSettled ? new Set<string>() : names,
      seen: new Set<string>(),
      unsettled,
    }
    node.readings.add(reading)
    model.folders.set(folder, reading)
    return done
  },
  readSome(model, { folder }) {
    const reading = model.folders.get(folder)
    if (!reading) return impossible
    return reading.folder.removed ? fails('ENOENT') : { reading }
  },
  closedir(model, { folder }) {
    const reading = model.folders.get(folder)
    if (!reading) return impossible
    reading.folder.readings.delete(reading)
    model.folders.delete(folder)
    return done
  },
}

function rename(model: Model, source: Found, target: Found, how: Arguments['rename']['how']) {
  if (!source.node) return fails('ENOENT')
  if (how === 'noreplace' && target.node) return fails('EEXIST')
  if (how === 'exchange' && !target.node) return fails('ENOENT')
  if (isWithin(target.folder, source.node)) return fails('EINVAL')
  if (target.node && isWithin(source.folder, target.node)) return fails(how === 'exchange' ? 'EINVAL' : 'ENOTEMPTY')
  if (source.node === target.node) return done
  if (how === 'exchange') {
    const isMixed = source.node.type === 'folder' && target.node?.type === 'file'
    if (isMixed && model.left.has('exchangeLinked')) return impossible
    setName(source.folder, source.name, target.node)
    setName(target.folder, target.name, source.node)
    return done
  }
  if (target.node && source.node.type === 'folder' && target.node.type !== 'folder') return fails('ENOTDIR')
  if (target.node?.type === 'folder' && source.node.type !== 'folder') return fails('EISDIR')
  if (target.node?.type === 'folder' && target.node.entries.size > 0) return fails('ENOTEMPTY')
  if (losesOpenFile(model, target)) return impossible
  dropNode(target.node)
  setName(source.folder, source.name, undefined)
  setName(target.folder, target.name, source.node)
  return done
}

function remove({ folder, name, node }: Found): void {
  setName(folder, name, undefined)
  dropNode(node)
}

/** True if an open file would lose a name, or its last one, on a file system that then can't find it. */
const losesOpenFile = (model: Model, { node }: Found): boolean =>
  node?.type === 'file' && model.left.has(node.links === 1 ? 'unlinked' : 'otherNames') && model.isOpen(node)
