// The tree of the model: nodes in memory, and path resolution as path_resolution(7) has it.

export interface FileNode {
  readonly type: 'file'
  bytes: Buffer
  /** Undefined as long as the file system chose it, see Feature `createMode`. */
  mode: number | undefined
  links: number
  /** Seconds; undefined once a change has set it to a time that nobody knows. */
  mtime: number | undefined
  readonly xattrs: Map<string, string>
  /** What each byte was before its last change, also behind the end: to tell a lost change from a wrong byte. */
  older: Buffer
  /** The bytes that the last change was about, also those between the end as it was and them. */
  changed: Span
  /** By number of the open file. */
  readonly locks: Map<number, 'shared' | 'exclusive'>
  /** Pages of a mapping are written back whenever the kernel likes, and change the time then. */
  wasMapped: boolean
}

/** The end is not included. */
export interface Span {
  readonly from: number
  readonly to: number
}

export interface FolderNode {
  readonly type: 'folder'
  parent: FolderNode | undefined
  mode: number | undefined
  mtime: number | undefined
  readonly xattrs: Map<string, string>
  readonly entries: Map<string, Node>
  /** Something in it has been changed since it was looked at last. */
  isChanged: boolean
  /** Those that read it bit by bit. */
  readonly readings: Set<Reading>
  removed: boolean
}

export interface LinkNode {
  readonly type: 'symlink'
  readonly target: string
}

export type Node = FileNode | FolderNode | LinkNode

/** A folder that is read bit by bit while names come and go. Source: readdir(3p). */
export interface Reading {
  readonly folder: FolderNode
  /** There since the reading began: each must be seen exactly once. */
  readonly sure: Set<string>
  /** Came or went meanwhile: may be seen or not, also twice. */
  readonly maybe: Set<string>
  /** With one change, all names become such. */
  readonly unsettled: boolean
  /** What was seen; the judge's. */
  readonly seen: Set<string>
}

export interface Found {
  readonly folder: FolderNode
  readonly name: string
  readonly node: Node | undefined
}

export const newFile = (mode: number | undefined): FileNode => ({
  type: 'file',
  bytes: Buffer.alloc(0),
  mode,
  links: 1,
  mtime: undefined,
  xattrs: new Map(),
  older: Buffer.alloc(0),
  changed: { from: 0, to: 0 },
  locks: new Map(),
  wasMapped: false,
})

export const newFolder = (mode: number | undefined, parent?: FolderNode): FolderNode => ({
  type: 'folder',
  parent,
  mode,
  mtime: undefined,
  xattrs: new Map(),
  entries: new Map(),
  isChanged: false,
  readings: new Set(),
  removed: false,
})

/** Linux follows so many symbolic links in one path (MAXSYMLINKS, include/linux/namei.h). */
const MOST_LINKS = 40

/** What a path names; `node` is undefined if the last name is free. An errno if there is no way there. */
export function walk(root: FolderNode, path: string, follow: boolean): Found | { readonly errno: string } {
  const names = path.split('/').filter((name) => name !== '')
  if (names.length === 0) return { folder: root, name: '.', node: root }
  let folder = root
  for (let links = 0; ; ) {
    const name = names.shift() ?? ''
    const node = folder.entries.get(name)
    if (node?.type === 'symlink' && (follow || names.length > 0)) {
      if (++links > MOST_LINKS) return { errno: 'ELOOP' }
      names.unshift(...node.target.split('/'))
      continue
    }
    if (names.length === 0) return { folder, name, node }
    if (!node) return { errno: 'ENOENT' }
    if (node.type !== 'folder') return { errno: 'ENOTDIR' }
    folder = node
  }
}

/** Gives a name to a node, or takes it away. */
export function setName(folder: FolderNode, name: string, node: Node | undefined): void {
  if (node) folder.entries.set(name, node)
  else folder.entries.delete(name)
  if (node?.type === 'folder') node.parent = folder
  folder.mtime = undefined
  folder.isChanged = true
  for (const reading of folder.readings) {
    for (const changed of reading.unsettled ? [...reading.sure, name] : [name]) {
      reading.sure.delete(changed)
      reading.maybe.add(changed)
    }
  }
}

/** A node has lost a name. */
export function dropNode(node: Node | undefined): void {
  if (node?.type === 'file') node.links--
  if (node?.type === 'folder') node.removed = true
}

/** True if `folder` is `node` or lies below it. */
export function isWithin(folder: FolderNode | undefined, node: Node | undefined): boolean {
  for (let at = folder; at; at = at.parent) if (at === node) return true
  return false
}
