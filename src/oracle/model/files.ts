// Rules of what is in files: open files, their bytes, mappings and locks.
import { type Impossible, impossible } from '../answer.js'
import type { Kind } from '../operations.js'
import { pattern } from '../pattern.js'
import { factsOf, type Model, type Rule } from './model.js'
import { type FileNode, newFile, setName, walk } from './tree.js'

type FileKind =
  | 'open'
  | 'close'
  | 'read'
  | 'pread'
  | 'write'
  | 'pwrite'
  | 'ftruncate'
  | 'truncate'
  | 'fsync'
  | 'fstat'
  | 'flock'
  | 'map'
  | 'unmap'
  | 'mapRead'
  | 'mapWrite'

const done = { done: true } as const
const fails = (errno: string) => ({ errno })

export const fileRules: { [K in FileKind & Kind]: Rule<K> } = {
  open(model, { file: number, path, access, append, create, exclusive, truncate, mode }) {
    if (model.files.has(number)) return impossible
    const found = walk(model.root, path, !(create && exclusive))
    if ('errno' in found) return found
    let { node } = found
    if (node && create && exclusive) return fails('EEXIST')
    if (node?.type === 'folder') return create || access !== 'read' ? fails('EISDIR') : impossible
    if (node?.type === 'symlink') return impossible
    if (!node) {
      if (!create) return fails('ENOENT')
      node = newFile(model.modeOfNew(mode))
      setName(found.folder, found.name, node)
    } else if (truncate) {
      if (model.isMappedBehind(node, 0)) return impossible
      resize(node, 0)
    }
    model.files.set(number, { file: node, access, append, position: 0 })
    return done
  },
  close(model, { file }) {
    const open = model.files.get(file)
    // A daemon hears of the close, and drops the lock, at any time afterwards.
    if (!open || open.file.locks.has(file)) return impossible
    model.files.delete(file)
    return done
  },
  read(model, { file, length }) {
    const open = model.files.get(file)
    if (!open) return impossible
    if (open.access === 'write') return fails('EBADF')
    const expected = part(open.file, open.position, length)
    open.position += expected.bytes.length
    return expected
  },
  pread(model, { file, offset, length }) {
    const open = model.files.get(file)
    if (!open) return impossible
    if (open.access === 'write') return fails('EBADF')
    return part(open.file, offset, length)
  },
  write(model, { file, length, process, step }) {
    const open = model.files.get(file)
    if (!open) return impossible
    if (open.access === 'read') return fails('EBADF')
    const offset = open.append ? open.file.bytes.length : open.position
    put(open.file, offset, pattern(process, step, length))
    open.position = offset + length
    return { count: length }
  },
  /** Linux appends whatever the offset, see pwrite(2), BUGS. */
  pwrite(model, { file, offset, length, process, step }) {
    const open = model.files.get(file)
    if (!open) return impossible
    if (open.access === 'read') return fails('EBADF')
    const at = open.append ? open.file.bytes.length : offset
    put(open.file, at, pattern(process, step, length))
    return { count: length }
  },
  ftruncate(model, { file, size }) {
    const open = model.files.get(file)
    if (!open) return impossible
    if (open.access === 'read') return fails('EINVAL')
    return cut(model, open.file, size)
  },
  truncate(model, { path, size }) {
    const found = walk(model.root, path, true)
    if ('errno' in found) return found
    if (!found.node) return fails('ENOENT')
    if (found.node.type === 'folder') return fails('EISDIR')
    return found.node.type === 'file' ? cut(model, found.node, size) : impossible
  },
  fsync: (model, { file }) => (model.files.has(file) ? done : impossible),
  fstat(model, { file }) {
    const open = model.files.get(file)
    return open ? { facts: factsOf(open.file) } : impossible
  },
  /** A lock that changes its kind is given up first, and stays so if it cannot be had, see flock(2). */
  flock(model, { file, lock }) {
    const open = model.files.get(file)
    if (!open || isMapped(model, file)) return impossible
    const { locks } = open.file
    if (locks.get(file) === lock) return done
    locks.delete(file)
    if (lock === 'none') return done
    if (lock === 'exclusive' ? locks.size > 0 : [...locks.values()].includes('exclusive')) return fails('EAGAIN')
    locks.set(file, lock)
    return done
  },
  map(model, { mapping, file, length }) {
    const open = model.files.get(file)
    if (!open || model.mappings.has(mapping) || open.file.locks.has(file)) return impossible
    if (length > open.file.bytes.length || length === 0) return impossible
    if (open.access !== 'both') return fails('EACCES')
    if (open.append && model.left.has('mappedAppend')) return impossible
    open.file.wasMapped = true
    open.file.mtime = undefined
    model.mappings.set(mapping, { file: open.file, of: file, length })
    return done
  },
  unmap: (model, { mapping }) => (model.mappings.delete(mapping) ? done : impossible),
  mapRead(model, { mapping, offset, length }) {
    const map = model.mappings.get(mapping)
    if (!map || offset + length > map.length) return impossible
    return part(map.file, offset, length)
  },
  mapWrite(model, { mapping, offset, length, process, step }) {
    const map = model.mappings.get(mapping)
    if (!map || offset + length > map.length) return impossible
    put(map.file, offset, pattern(process, step, length))
    return done
  },
}

/** The mapping keeps the open file, and with it the lock. */
const isMapped = (model: Model, file: number): boolean =>
  [...model.mappings.values()].some((mapping) => mapping.of === file)

/** Copies: later steps change the file before the answer is judged. */
const part = (file: FileNode, from: number, length: number) => ({
  bytes: Buffer.from(file.bytes.subarray(from, from + length)),
  older: Buffer.from(file.older.subarray(from, from + length)),
  from,
  file,
})

function put(file: FileNode, offset: number, bytes: Buffer): void {
  if (bytes.length === 0) return
  const end = offset + bytes.length
  file.changed = { from: Math.min(offset, file.bytes.length), to: end }
  if (end > file.bytes.length) file.bytes = sized(file.bytes, end)
  file.older = sized(file.older, Math.max(end, file.older.length))
  file.bytes.copy(file.older, offset, offset, end)
  bytes.copy(file.bytes, offset)
  file.mtime = undefined
}

function cut(model: Model, file: FileNode, size: number): typeof done | Impossible {
  if (model.isMappedBehind(file, size)) return impossible
  resize(file, size)
  return done
}

function resize(file: FileNode, size: number): void {
  file.changed = { from: Math.min(size, file.bytes.length), to: Math.max(size, file.bytes.length) }
  file.older = sized(file.older, Math.max(size, file.older.length, file.bytes.length))
  if (size < file.bytes.length) file.bytes.copy(file.older, size, size)
  file.bytes = sized(file.bytes, size)
  file.mtime = undefined
}

/** A copy of this size, cut or filled up with zeros. */
function sized(bytes: Buffer, size: number): Buffer {
  const copy = Buffer.alloc(size)
  bytes.copy(copy, 0, 0, size)
  return copy
}
