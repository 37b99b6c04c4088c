// What an operation is made of, and what it is about.
import type { Model } from './model/model.js'
import { type FolderNode, type Node, walk } from './model/tree.js'
import type { Kind, Operation } from './operations.js'

/** Exchanging two names is no other renaming. */
export type Part = Kind | 'exchange'

/** Itself, and what it does besides. */
export function partsOf(operation: Operation): readonly Part[] {
  const { kind } = operation
  switch (kind) {
    case 'race':
      return [kind, 'mkdir', 'open', ...(operation.race === 'create' ? [] : [operation.race])]
    case 'count':
    case 'log':
      return [kind, 'open', 'write']
    case 'rename':
      return operation.how === 'exchange' ? ['exchange'] : [kind]
    case 'enter':
      return [kind, 'mkdir']
    case 'clear':
      return [kind, 'unlink', 'rmdir']
    default:
      return [kind]
  }
}

/** Files and folders that it names. The model has done it, so what it removed is none of them. */
export function nodesOf(operation: Operation, model: Model): Node[] {
  const named = pathsOf(operation).map((path) => {
    const found = walk(model.root, path, followed.includes(operation.kind))
    return 'errno' in found ? undefined : found.node
  })
  const open = 'file' in operation ? model.files.get(operation.file) : undefined
  const mapping = 'mapping' in operation ? model.mappings.get(operation.mapping) : undefined
  const folder = 'folder' in operation && typeof operation.folder === 'number' ? operation.folder : undefined
  const reading = folder === undefined ? undefined : model.folders.get(folder)
  return [...named, open?.file, mapping?.file, reading?.folder].filter((node) => node !== undefined)
}

/** The same, and every folder on the way there. */
export function nodesOnTheWay(operation: Operation, model: Model): Node[] {
  const nodes = new Set(nodesOf(operation, model))
  for (const path of pathsOf(operation)) {
    const found = walk(model.root, path, followed.includes(operation.kind))
    if ('errno' in found) continue
    for (let folder: FolderNode | undefined = found.folder; folder; folder = folder.parent) nodes.add(folder)
  }
  return [...nodes]
}

/** What all processes share and it is about, by name. */
export function sharedOf(operation: Operation): readonly string[] {
  if (operation.kind === 'count') return [operation.counter]
  if (operation.kind === 'race') return [`${operation.race}-${operation.number}`]
  if (operation.kind === 'log') return ['log']
  return operation.kind === 'totals' ? ['log', 'flock', 'fcntl'] : []
}

/** Kinds that follow a symbolic link in the end of their path. */
const followed: readonly Kind[] = ['open', 'truncate', 'chmod', 'utimes', 'readdir', 'opendir']

const pathsOf = (operation: Operation): string[] =>
  (['path', 'from', 'to'] as const).flatMap((name) => {
    const path = (operation as Partial<Record<typeof name, string>>)[name]
    return path === undefined ? [] : [path]
  })
