// What Node has no function for: extended attributes, flock, fcntl, renameat2, getdents64.
import { cstring, rawSyscall } from '../../native/ffi.js'
import { dirent64 } from '../../native/files.js'
import { syscall } from '../../native/syscall.js'
import { renameFlags } from '../../native/tree.js'
import { xattrFlags } from '../../native/xattr.js'
import type { Arguments, Lock } from '../operations.js'

const AT_FDCWD = -100
const [LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN] = [1, 2, 4, 8]
const [F_SETLKW, F_WRLCK, F_UNLCK] = [7, 1, 2]
const ROOM = 4096

const renames = {
  replace: 0,
  noreplace: renameFlags.RENAME_NOREPLACE,
  exchange: renameFlags.RENAME_EXCHANGE,
} as const
export function rename(from: string, to: string, how: Arguments['rename']['how']): void {
  syscall('renameat2', from, AT_FDCWD, cstring(from), AT_FDCWD, cstring(to), renames[how])
}

const locks = { shared: LOCK_SH, exclusive: LOCK_EX, none: LOCK_UN } as const satisfies Record<Lock, number>
/** Without waiting. */
export function flock(fd: number, lock: Lock): void {
  syscall('flock', `fd ${fd}`, fd, locks[lock] | LOCK_NB)
}

/** Waits for an exclusive lock of the whole file, by flock(2) or fcntl(2), runs `use` and gives the lock up. */
export function locked<T>(fd: number, by: 'flock' | 'fcntl', use: () => T): T {
  const set = (lock: boolean): void => {
    if (by === 'flock') syscall('flock', `fd ${fd}`, fd, lock ? LOCK_EX : LOCK_UN)
    else {
      const struct = Buffer.alloc(32)
      struct.writeInt16LE(lock ? F_WRLCK : F_UNLCK)
      syscall('fcntl', `fd ${fd}`, fd, F_SETLKW, struct)
    }
  }
  set(true)
  const result = use()
  set(false)
  return result
}

const hows = { any: 0, create: xattrFlags.XATTR_CREATE, replace: xattrFlags.XATTR_REPLACE } as const
export function setxattr(path: string, name: string, value: string, how: keyof typeof hows): void {
  const bytes = Buffer.from(value)
  syscall('setxattr', path, cstring(path), cstring(name), bytes, bytes.length, hows[how])
}
export function getxattr(path: string, name: string): string {
  const bytes = Buffer.alloc(ROOM)
  return bytes.toString('utf8', 0, syscall('getxattr', path, cstring(path), cstring(name), bytes, ROOM))
}
/** Those of users; the others are the system's own. */
export function listxattr(path: string): string[] {
  const bytes = Buffer.alloc(ROOM)
  const length = syscall('listxattr', path, cstring(path), bytes, ROOM)
  return bytes
    .toString('utf8', 0, length)
    .split('\0')
    .filter((name) => name.startsWith('user.'))
}
export function removexattr(path: string, name: string): void {
  syscall('removexattr', path, cstring(path), cstring(name))
}

/** Some more names of an open folder; none at its end. */
export function readSome(fd: number, room: number): string[] {
  const bytes = Buffer.alloc(room)
  const names: string[] = []
  // A first answer of dots alone must not look like the end.
  for (;;) {
    const length = syscall('getdents64', `fd ${fd}`, fd, bytes, room)
    for (let at = 0; at < length; at += bytes.readUInt16LE(at + dirent64.d_reclen)) {
      const from = at + dirent64.d_name
      const name = bytes.toString('utf8', from, bytes.indexOf(0, from))
      if (name !== '.' && name !== '..') names.push(name)
    }
    if (names.length > 0 || length === 0) return names
  }
}

export const setUmask = (mask: number): number => rawSyscall('umask', mask)
