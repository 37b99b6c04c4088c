// The model of one process's folder: what every operation must give, and what it changes. Pure: it knows no file system.
import { type Expectation, type ExpectedEntry, type Impossible, impossible } from '../answer.js'
import type { Access, Feature, Kind, Operation } from '../operations.js'
import { attributeRules } from './attributes.js'
import { fileRules } from './files.js'
import { nameRules } from './names.js'
import { type FileNode, type FolderNode, type Node, newFolder, type Reading } from './tree.js'

export interface OpenFile {
  readonly file: FileNode
  readonly access: Access
  readonly append: boolean
  position: number
}

export interface Mapping {
  readonly file: FileNode
  /** The number of the open file that it was made of: its lock lasts as long as the mapping. */
  readonly of: number
  readonly length: number
}

export type Rule<K extends Kind> = (model: Model, operation: Operation<K>) => Expectation | Impossible

const shared = (): Expectation => ({ shared: true })
const rules: { [K in Kind]?: Rule<K> } = {
  ...nameRules,
  ...fileRules,
  ...attributeRules,
  count: shared,
  race: shared,
  log: shared,
}

export class Model {
  readonly root: FolderNode = newFolder(0o755)
  readonly files = new Map<number, OpenFile>()
  readonly folders = new Map<number, Reading>()
  readonly mappings = new Map<number, Mapping>()

  /** @param left what the file system cannot do */
  constructor(readonly left: ReadonlySet<Feature> = new Set()) {}

  /** What the operation must give. It is done in the model then, unless it is impossible. */
  apply(operation: Operation): Expectation | Impossible {
    const rule = rules[operation.kind] as Rule<Kind> | undefined
    return rule?.(this, operation) ?? impossible
  }

  /** Of something new that is asked for with this mode: undefined if there is no telling. */
  modeOfNew(mode: number): number | undefined {
    return this.left.has('createMode') ? undefined : mode
  }

  isOpen(node: Node | undefined): boolean {
    for (const { file } of this.files.values()) if (file === node) return true
    for (const { file } of this.mappings.values()) if (file === node) return true
    return false
  }

  /** True if a mapping would lose pages: touching them then is SIGBUS. */
  isMappedBehind(file: FileNode, size: number): boolean {
    for (const mapping of this.mappings.values()) if (mapping.file === file && mapping.length > size) return true
    return false
  }

  /** All that there must be, by path. */
  snapshot(): ExpectedEntry[] {
    return [...this.walk()].map(([path, node]) => {
      const facts = factsOf(node)
      if (node.type === 'symlink') return { path, facts, target: node.target, xattrs: {} }
      const xattrs = Object.fromEntries(node.xattrs)
      return node.type === 'file'
        ? { path, facts, bytes: node.bytes, older: node.older, file: node, xattrs }
        : { path, facts, xattrs }
    })
  }

  /** All paths with their nodes, a folder before what is in it. */
  *walk(folder: FolderNode = this.root, prefix = ''): Generator<[path: string, node: Node]> {
    for (const [name, node] of folder.entries) {
      yield [prefix + name, node]
      if (node.type === 'folder') yield* this.walk(node, `${prefix}${name}/`)
    }
  }
}

export const factsOf = (node: Node) => {
  if (node.type === 'symlink') return { type: node.type, size: Buffer.byteLength(node.target) }
  const common = {
    ...(node.mode !== undefined && { mode: node.mode }),
    ...(node.mtime !== undefined && { mtime: node.mtime }),
  }
  if (node.type === 'folder') return { type: node.type, ...common }
  return { type: node.type, size: node.bytes.length, links: node.links, ...common }
}
