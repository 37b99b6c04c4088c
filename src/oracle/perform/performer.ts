// Does operations on a real folder, one after the other, by blocking calls: it belongs in a process of its own.
import fs from 'node:fs'
import { join } from 'node:path'
import { openFlags } from '../../native/open-flags.js'
import type { Actual, Value } from '../answer.js'
import type { Kind, Operation } from '../operations.js'
import { pattern } from '../pattern.js'
import { factsFrom } from './facts.js'
import { type Mapped, mapFile } from './mapping.js'
import * as natives from './natives.js'
import { sharedCalls } from './shared-calls.js'
import { clear, snapshot, syncAll } from './whole-tree.js'

export type Calls<K extends Kind = Kind> = { readonly [P in K]: (operation: Operation<P>) => unknown }

export class Performer {
  /** What is before every path: the folder of the process, or nothing, if it is the working directory. */
  private prefix = ''
  private readonly files = new Map<number, number>()
  private readonly folders = new Map<number, number>()
  private readonly mappings = new Map<number, Mapped>()

  /** @param root the folder of the whole run */
  constructor(private readonly root: string) {}

  perform(operation: Operation): Actual {
    const call = this.calls[operation.kind] as (operation: Operation) => unknown
    try {
      return { value: (call(operation) ?? null) as Value }
    } catch (error) {
      if (error instanceof Error && 'code' in error) return { errno: String(error.code), text: error.message }
      return { errno: 'UNKNOWN', text: error instanceof Error ? (error.stack ?? error.message) : String(error) }
    }
  }

  private readonly path = (path: string): string => (path === '' ? this.prefix || '.' : this.prefix + path)
  private readonly file = (number: number): number => known(this.files, number)
  private readonly mapping = (number: number): Buffer => known(this.mappings, number).bytes

  readonly calls: Calls = {
    open: ({ file, path, mode, ...flags }) => {
      this.files.set(file, fs.openSync(this.path(path), flagsOf(flags), mode))
    },
    close: ({ file }) => {
      const fd = this.file(file)
      this.files.delete(file)
      fs.closeSync(fd)
    },
    read: ({ file, length }) => read(this.file(file), length, null),
    pread: ({ file, length, offset }) => read(this.file(file), length, offset),
    write: ({ file, length, process, step }) =>
      fs.writeSync(this.file(file), pattern(process, step, length), 0, length, null),
    pwrite: ({ file, offset, length, process, step }) =>
      fs.writeSync(this.file(file), pattern(process, step, length), 0, length, offset),
    ftruncate: ({ file, size }) => fs.ftruncateSync(this.file(file), size),
    truncate: ({ path, size }) => fs.truncateSync(this.path(path), size),
    fsync: ({ file, dataOnly }) => (dataOnly ? fs.fdatasyncSync(this.file(file)) : fs.fsyncSync(this.file(file))),
    fstat: ({ file }) => factsFrom(fs.fstatSync(this.file(file))),
    flock: ({ file, lock }) => natives.flock(this.file(file), lock),
    map: ({ mapping, file, length }) => {
      this.mappings.set(mapping, mapFile(this.file(file), length))
    },
    unmap: ({ mapping }) => {
      known(this.mappings, mapping).unmap()
      this.mappings.delete(mapping)
    },
    mapRead: ({ mapping, offset, length }) => Buffer.from(this.mapping(mapping).subarray(offset, offset + length)),
    mapWrite: ({ mapping, offset, length, process, step }) => {
      pattern(process, step, length).copy(this.mapping(mapping), offset)
    },
    stat: ({ path }) => factsFrom(fs.lstatSync(this.path(path))),
    chmod: ({ path, mode }) => fs.chmodSync(this.path(path), mode),
    utimes: ({ path, mtime }) => fs.utimesSync(this.path(path), mtime, mtime),
    rename: ({ from, to, how }) => natives.rename(this.path(from), this.path(to), how),
    link: ({ from, to }) => fs.linkSync(this.path(from), this.path(to)),
    symlink: ({ target, path }) => fs.symlinkSync(target, this.path(path)),
    readlink: ({ path }) => fs.readlinkSync(this.path(path)),
    unlink: ({ path }) => fs.unlinkSync(this.path(path)),
    mkdir: ({ path, mode }) => fs.mkdirSync(this.path(path), mode),
    rmdir: ({ path }) => fs.rmdirSync(this.path(path)),
    readdir: ({ path }) => fs.readdirSync(this.path(path)),
    opendir: ({ folder, path }) => {
      this.folders.set(folder, fs.openSync(this.path(path), openFlags.O_DIRECTORY))
    },
    readSome: ({ folder, room }) => natives.readSome(known(this.folders, folder), room),
    closedir: ({ folder }) => {
      const fd = known(this.folders, folder)
      this.folders.delete(folder)
      fs.closeSync(fd)
    },
    setxattr: ({ path, name, value, how }) => natives.setxattr(this.path(path), name, value, how),
    getxattr: ({ path, name }) => natives.getxattr(this.path(path), name),
    listxattr: ({ path }) => natives.listxattr(this.path(path)),
    removexattr: ({ path, name }) => natives.removexattr(this.path(path), name),
    ...sharedCalls(() => this.root),
    enter: ({ folder, inside }) => {
      const whole = join(this.root, folder)
      fs.mkdirSync(whole)
      fs.chmodSync(whole, 0o755)
      if (inside) process.chdir(whole)
      this.prefix = inside ? '' : `${whole}/`
    },
    leave: () => {
      process.chdir('/')
      this.prefix = '/nowhere/'
      for (const mapping of this.mappings.values()) mapping.unmap()
      const fds = [...this.files.values(), ...this.folders.values()]
      for (const map of [this.files, this.folders, this.mappings]) map.clear()
      for (const fd of fds) fs.closeSync(fd)
    },
    sync: ({ folder }) => syncAll(join(this.root, folder)),
    snapshot: ({ folder, beneath }) => snapshot(join(beneath ?? this.root, folder)),
    clear: ({ folder }) => clear(join(this.root, folder)),
  }
}

function known<T>(map: ReadonlyMap<number, T>, number: number): T {
  const value = map.get(number)
  // As after an open that should have succeeded and did not.
  if (value === undefined) throw Object.assign(new Error(`number ${number} is not open`), { code: 'EBADF' })
  return value
}

function flagsOf({ access, append, create, exclusive, truncate }: Omit<Operation<'open'>, 'file' | 'path' | 'mode'>) {
  const { O_RDONLY, O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_TRUNC } = openFlags
  const mode = { read: O_RDONLY, write: O_WRONLY, both: O_RDWR }[access]
  const flag = (wanted: boolean, bit: number): number => (wanted ? bit : 0)
  return mode | flag(append, O_APPEND) | flag(create, O_CREAT) | flag(exclusive, O_EXCL) | flag(truncate, O_TRUNC)
}

function read(fd: number, length: number, position: number | null): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, fs.readSync(fd, bytes, 0, length, position))
}
