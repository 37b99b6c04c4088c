// The state folder: one folder a mount, under /run/keepmount for root and $XDG_RUNTIME_DIR/keepmount for others;
// KEEPMOUNT_STATE_DIR names another place.
//
//   /run/keepmount/        0700
//     NAME/                0700
//       lock               held by the living supervisor (flock: the kernel drops it with the process)
//       state.json         0600, replaced whole
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { KeepmountError } from '../errors/error.js'
import { failedWith } from '../native/error.js'
import { lockFile } from '../native/process.js'
import { type MountRecord, recordSchema } from './record.js'

/** Where the state of all mounts of this user is. @throws KeepmountError STATE_FOLDER_UNUSABLE */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  const runtime = env.XDG_RUNTIME_DIR
  if (env.KEEPMOUNT_STATE_DIR) return env.KEEPMOUNT_STATE_DIR
  if (process.geteuid?.() === 0) return '/run/keepmount'
  if (runtime) return join(runtime, 'keepmount')
  throw new KeepmountError('STATE_FOLDER_UNUSABLE', {
    folder: '$XDG_RUNTIME_DIR/keepmount',
    reason: 'XDG_RUNTIME_DIR is not set',
  })
}

/** A mount's folder while this process has its lock. */
export class StateFolder {
  private constructor(
    readonly path: string,
    private readonly lock: number,
  ) {}

  /**
   * Makes the folder of `name` if need be and takes its lock.
   * @returns null if another process has the lock
   * @throws KeepmountError STATE_FOLDER_UNUSABLE
   */
  static acquire(name: string, root = stateRoot()): StateFolder | null {
    const path = join(root, name)
    try {
      privateFolder(root)
      // The owner of a lock removes its folder at the end: a lock on a removed file is none, so look again.
      for (;;) {
        const lock = openLock(path)
        if (lock === null) continue
        if (!lockFile(lock)) {
          closeSync(lock)
          return null
        }
        if (isStill(join(path, 'lock'), lock)) return new StateFolder(path, lock)
        closeSync(lock)
      }
    } catch (error) {
      throw unusable(path, error)
    }
  }

  /** @throws KeepmountError STATE_FILE_BROKEN */
  read(): MountRecord | null {
    return readRecord(this.path)
  }

  /** Replaces the record whole: a reader sees the old one or the new one. */
  write(record: MountRecord): void {
    const next = join(this.path, 'state.json.new')
    try {
      writeFileSync(next, JSON.stringify(record), { mode: 0o600 })
      renameSync(next, join(this.path, 'state.json'))
    } catch (error) {
      throw unusable(this.path, error)
    }
  }

  /** Removes the folder and gives the lock back. */
  remove(): void {
    // Out of the way first: what another process makes at this path while we remove is its own.
    const removed = join(dirname(this.path), `${REMOVED}${basename(this.path)}.${process.pid}`)
    try {
      renameSync(this.path, removed)
      rmSync(removed, { recursive: true, force: true })
    } catch (error) {
      // Somebody may have tidied up by hand.
      if (!failedWith(error, 'ENOENT')) throw error
    } finally {
      closeSync(this.lock)
    }
  }

  /** Gives the lock back and leaves the record; a folder that has none is removed. */
  release(): void {
    if (existsSync(join(this.path, 'state.json'))) closeSync(this.lock)
    else this.remove()
  }
}

export interface KnownMount {
  readonly name: string
  readonly folder: string
  /** Null if there is a folder but no record yet, or one that cannot be read. */
  readonly record: MountRecord | null
  /** Why the record cannot be read. */
  readonly problem: KeepmountError | null
}

/** All mounts that have a folder, without taking a lock. A broken record is the problem of its mount alone. */
export function knownMounts(root = stateRoot()): KnownMount[] {
  let names: string[]
  try {
    names = readdirSync(root)
  } catch (error) {
    if (failedWith(error, 'ENOENT')) return []
    throw unusable(root, error)
  }
  const living = names.filter((name) => !name.startsWith(REMOVED))
  return living.sort().map((name) => {
    const folder = join(root, name)
    try {
      return { name, folder, record: readRecord(folder), problem: null }
    } catch (error) {
      if (!(error instanceof KeepmountError)) throw error
      return { name, folder, record: null, problem: error }
    }
  })
}

/** The known mount with this name or mountpoint. */
export function findMount(target: string, root = stateRoot()): KnownMount | undefined {
  const known = knownMounts(root)
  return known.find(({ name }) => name === target) ?? known.find(({ record }) => record?.mount?.mountpoint === target)
}

function readRecord(folder: string): MountRecord | null {
  const file = join(folder, 'state.json')
  const broken = (reason: string, cause?: unknown) =>
    new KeepmountError('STATE_FILE_BROKEN', { file, reason }, { cause })
  let text: string
  try {
    const { uid, mode } = lstatSync(file)
    if (uid !== process.geteuid?.()) throw broken(`it belongs to uid ${uid}`)
    if (mode & 0o077) throw broken('others may read or write it')
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (failedWith(error, 'ENOENT', 'ENOTDIR')) return null
    throw error instanceof KeepmountError
      ? error
      : broken(error instanceof Error ? error.message : String(error), error)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw broken('it is not JSON', error)
  }
  const parsed = recordSchema().safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw broken(`${issue?.path.join('.') || 'the document'}: ${issue?.message}`, parsed.error)
}

/** Makes the folder that all state is in, if need be. @throws KeepmountError STATE_FOLDER_UNUSABLE */
export function checkStateRoot(root: string): void {
  try {
    privateFolder(root)
    accessSync(root, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw unusable(root, error)
  }
}

/** How the folder of a mount begins while it is being removed; no name of a mount begins so. */
const REMOVED = '.removed-'

/** The lock file, opened; null if the folder was removed meanwhile. */
function openLock(path: string): number | null {
  try {
    privateFolder(path)
    return openSync(join(path, 'lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  } catch (error) {
    // Not so if it is the root that is missing: that one stays.
    if (failedWith(error, 'ENOENT') && existsSync(dirname(path))) return null
    throw error
  }
}

function privateFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (!failedWith(error, 'EEXIST')) throw error
  }
  const folder = lstatSync(path)
  const { uid, mode } = folder
  if (!folder.isDirectory()) throw new Error('it is not a folder')
  if (uid !== process.geteuid?.()) throw new Error(`it belongs to uid ${uid}`)
  if (mode & 0o077) throw new Error(`its mode is ${(mode & 0o777).toString(8)}: others may enter it`)
}

function isStill(path: string, fd: number): boolean {
  try {
    return statSync(path).ino === fstatSync(fd).ino
  } catch {
    return false
  }
}

const unusable = (folder: string, error: unknown): KeepmountError =>
  error instanceof KeepmountError
    ? error
    : new KeepmountError(
        'STATE_FOLDER_UNUSABLE',
        { folder, reason: error instanceof Error ? error.message : String(error) },
        { cause: error },
      )
