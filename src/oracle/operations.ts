// Every operation of the oracle: its arguments, how often it is drawn, and what a file system must be able to do for it.
// Paths are relative to the folder of the process. Open files, folders and mappings have numbers that the generator gives.

export type Access = 'read' | 'write' | 'both'
export type Lock = 'shared' | 'exclusive' | 'none'
/** What several processes try at once, and only one of them may do. */
export type Race = 'create' | 'mkdir' | 'link' | 'symlink' | 'rename' | 'unlink' | 'rmdir'
export type Counter = 'flock' | 'fcntl'

export interface Arguments {
  open: {
    readonly file: number
    readonly path: string
    readonly access: Access
    readonly append: boolean
    readonly create: boolean
    readonly exclusive: boolean
    readonly truncate: boolean
    readonly mode: number
  }
  close: { readonly file: number }
  read: { readonly file: number; readonly length: number }
  pread: { readonly file: number; readonly offset: number; readonly length: number }
  write: { readonly file: number; readonly length: number } & Written
  pwrite: { readonly file: number; readonly offset: number; readonly length: number } & Written
  ftruncate: { readonly file: number; readonly size: number }
  truncate: { readonly path: string; readonly size: number }
  fsync: { readonly file: number; readonly dataOnly: boolean }
  fstat: { readonly file: number }
  flock: { readonly file: number; readonly lock: Lock }
  map: { readonly mapping: number; readonly file: number; readonly length: number }
  unmap: { readonly mapping: number }
  mapRead: { readonly mapping: number; readonly offset: number; readonly length: number }
  mapWrite: { readonly mapping: number; readonly offset: number; readonly length: number } & Written
  stat: { readonly path: string }
  chmod: { readonly path: string; readonly mode: number }
  /** Seconds. */
  utimes: { readonly path: string; readonly mtime: number }
  rename: { readonly from: string; readonly to: string; readonly how: 'replace' | 'noreplace' | 'exchange' }
  link: { readonly from: string; readonly to: string }
  symlink: { readonly target: string; readonly path: string }
  readlink: { readonly path: string }
  unlink: { readonly path: string }
  mkdir: { readonly path: string; readonly mode: number }
  rmdir: { readonly path: string }
  readdir: { readonly path: string }
  opendir: { readonly folder: number; readonly path: string }
  /** The next few names of an open folder: as many as fit into `room` bytes of getdents64(2). */
  readSome: { readonly folder: number; readonly room: number }
  closedir: { readonly folder: number }
  setxattr: {
    readonly path: string
    readonly name: string
    readonly value: string
    readonly how: 'any' | 'create' | 'replace'
  }
  getxattr: { readonly path: string; readonly name: string }
  listxattr: { readonly path: string }
  removexattr: { readonly path: string; readonly name: string }
  /** Takes the lock of a shared counter, reads it, writes one more, gives what it wrote. */
  count: { readonly counter: Counter }
  /** Tries what only one of all processes may succeed with. */
  race: { readonly race: Race; readonly number: string; readonly process: number }
  /** Appends a line to the shared log. */
  log: { readonly line: string }
  /** Begins with an empty folder. `inside`: as the working directory. */
  enter: { readonly folder: string; readonly inside: boolean }
  /** Closes all that is open. */
  leave: Record<never, never>
  /** Makes what was written in the folder reach the file system. */
  sync: { readonly folder: string }
  /** All that is in the folder. With `beneath`, that folder's instead of the mount's. */
  snapshot: { readonly folder: string; readonly beneath?: string }
  /** Removes the folder with all that is in it. */
  clear: { readonly folder: string }
  /** What is left of counters and log in the end. */
  totals: { readonly folder: string }
}

/** Whose bytes a write has, see pattern.ts. */
interface Written {
  readonly process: number
  readonly step: number
}

export type Kind = keyof Arguments
export type Operation<K extends Kind = Kind> = { [P in K]: { readonly kind: P } & Arguments[P] }[K]

/** What not every file system can do. What cannot be done is left out, and the verdict says so. */
export const featureTable = {
  append: 'files open for appending',
  writeOnly: 'files created for writing alone',
  truncate: 'changing the size of a file',
  unlinked: 'open files that have lost their name',
  otherNames: 'open files that have lost one name of several',
  link: 'hard links',
  symlink: 'symbolic links',
  createMode: 'the mode that something new is asked for with',
  chmod: 'changing modes',
  utimes: 'setting times',
  noreplace: 'renaming without replacing',
  exchange: 'exchanging two names',
  exchangeLinked: 'exchanging a folder with a file that was linked',
  rmdir: 'removing folders',
  halfRead: 'folders that are read bit by bit',
  changingRead: 'folders that change while they are read: the other names once each',
  xattr: 'extended attributes',
  mmap: 'shared writable mappings',
  mappedAppend: 'mappings made of files open for appending',
  flock: 'locks by flock',
  fcntl: 'locks by fcntl',
  fsync: 'fsync',
} as const
export type Feature = keyof typeof featureTable

/** Kinds that the generator draws: how often, in relation to each other, and what for. */
export const drawn = {
  open: { weight: 12 },
  close: { weight: 6 },
  read: { weight: 7 },
  pread: { weight: 10 },
  write: { weight: 10 },
  pwrite: { weight: 9 },
  ftruncate: { weight: 2, needs: 'truncate' },
  truncate: { weight: 2, needs: 'truncate' },
  fsync: { weight: 2, needs: 'fsync' },
  fstat: { weight: 3 },
  flock: { weight: 4, needs: 'flock' },
  map: { weight: 4, needs: 'mmap' },
  unmap: { weight: 0.7, needs: 'mmap' },
  mapRead: { weight: 6, needs: 'mmap' },
  mapWrite: { weight: 5, needs: 'mmap' },
  stat: { weight: 8 },
  chmod: { weight: 2, needs: 'chmod' },
  utimes: { weight: 2, needs: 'utimes' },
  rename: { weight: 6 },
  link: { weight: 3, needs: 'link' },
  symlink: { weight: 3, needs: 'symlink' },
  readlink: { weight: 2, needs: 'symlink' },
  unlink: { weight: 6 },
  mkdir: { weight: 5 },
  rmdir: { weight: 3, needs: 'rmdir' },
  readdir: { weight: 3 },
  opendir: { weight: 2, needs: 'halfRead' },
  readSome: { weight: 5, needs: 'halfRead' },
  closedir: { weight: 1, needs: 'halfRead' },
  setxattr: { weight: 3, needs: 'xattr' },
  getxattr: { weight: 3, needs: 'xattr' },
  listxattr: { weight: 1, needs: 'xattr' },
  removexattr: { weight: 1, needs: 'xattr' },
  count: { weight: 4 },
  race: { weight: 4 },
  log: { weight: 3, needs: 'append' },
} as const satisfies Partial<Record<Kind, { weight: number; needs?: Feature }>>
export type DrawnKind = keyof typeof drawn

/** As a line for people: `pwrite file=3 offset=10 length=7`. */
export const describe = ({ kind, ...args }: Operation): string =>
  [
    kind,
    ...Object.entries(args).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? JSON.stringify(value) : value}`,
    ),
  ].join(' ')
