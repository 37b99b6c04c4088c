// Starting a process by posix_spawn(3). libc makes it without a copy of our memory, which costs Node's own fork several times
// what all the rest does, and us a page fault for each page that we write afterwards. Nobody waits for such a process: see
// kernel/children.ts.
//
// posix_spawn_file_actions_t has 80 bytes and posix_spawnattr_t 336, with glibc as with musl.
import { closeFd, duplicateFd } from './descriptor.js'
import { SyscallError } from './error.js'
import { type Argument, cstring, libcFunction, rawSyscall, writePointer } from './ffi.js'
import { setNonblocking } from './files.js'
import { openFlags } from './open-flags.js'
import type { Fd, Pid } from './types.js'

export interface Spawn {
  /** An absolute path. */
  readonly program: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** What descriptor 0, 1, … of it is a copy of; null for /dev/null. It gets no other. */
  readonly fds: readonly (number | null)[]
  /** It leads a session of its own: setsid(2). */
  readonly session?: boolean
}

const ACTIONS_SIZE = 128
const ATTRIBUTES_SIZE = 512
const SIGNAL_SET_SIZE = 128
const POSIX_SPAWN_SETSIGDEF = 0x04
const POSIX_SPAWN_SETSIGMASK = 0x08
const POSIX_SPAWN_SETSID = 0x80
const LAST_STANDARD = 2
const CLOSE_RANGE_CLOEXEC = 4
const LAST_FD = 0xffff_ffff

const functions = new Map<string, (...args: Argument[]) => number>()

/** @throws SyscallError with what libc answers */
function libc(name: string, ...args: Argument[]): void {
  const call = functions.get(name) ?? libcFunction(name, args.length)
  functions.set(name, call)
  const errno = call(...args)
  if (errno !== 0) throw new SyscallError(name, errno, '')
}

/**
 * Starts it with all signals as they are by default and none blocked.
 * @throws SyscallError, EAGAIN or ENOMEM without room for a process, ENOENT or EACCES if the program or folder can't be had
 */
export function spawnProcess({ program, argv, env, cwd, fds, session = false }: Spawn): Pid {
  const actions = Buffer.alloc(ACTIONS_SIZE)
  const attributes = Buffer.alloc(ATTRIBUTES_SIZE)
  const pid = Buffer.alloc(4)
  const moved: Fd[] = []
  libc('posix_spawn_file_actions_init', actions)
  libc('posix_spawnattr_init', attributes)
  try {
    libc('posix_spawn_file_actions_addchdir_np', actions, cstring(cwd))
    for (const [i, fd] of fds.entries()) {
      if (fd === null) libc('posix_spawn_file_actions_addopen', actions, i, devNull, openFlags.O_RDWR, 0)
      else libc('posix_spawn_file_actions_adddup2', actions, outOfTheWay(fd, i, fds.length, moved), i)
      // Node has what it reads from or writes to not block; nobody else expects that of his input and output.
      if (fd !== null && i <= LAST_STANDARD && fd <= LAST_STANDARD) setNonblocking(fd, false)
    }
    const flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (session ? POSIX_SPAWN_SETSID : 0)
    libc('posix_spawnattr_setflags', attributes, flags)
    libc('posix_spawnattr_setsigdefault', attributes, allSignals)
    libc('posix_spawnattr_setsigmask', attributes, noSignals)
    pointedTo.length = 0
    // What we were given ourselves may be none of the child's business: close_range(2), since Linux 5.11.
    rawSyscall('close_range', LAST_STANDARD + 1, LAST_FD, CLOSE_RANGE_CLOEXEC)
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    libc('posix_spawn', pid, cstring(program), actions, attributes, vector(argv), vector(variables))
    return pid.readInt32LE() as Pid
  } catch (error) {
    throw error instanceof SyscallError ? new SyscallError(error.syscall, error.errno, program) : error
  } finally {
    libc('posix_spawnattr_destroy', attributes)
    libc('posix_spawn_file_actions_destroy', actions)
    for (const fd of moved) closeFd(fd)
  }
}

/** A descriptor that no earlier step of the child puts another file in the place of. */
function outOfTheWay(fd: number, place: number, count: number, moved: Fd[]): number {
  if (fd >= count || fd === place) return fd
  let copy = duplicateFd(fd as Fd)
  moved.push(copy)
  while (copy < count) {
    copy = duplicateFd(fd as Fd)
    moved.push(copy)
  }
  return copy
}

/** Pointers to texts, NULL at the end. */
function vector(texts: readonly string[]): Buffer {
  const pointers = Buffer.alloc(8 * (texts.length + 1))
  for (const [i, text] of texts.map(cstring).entries()) {
    writePointer(pointers, 8 * i, text)
    pointedTo.push(text)
  }
  return pointers
}

/** What the pointers lead to, so that it lives until the next process is started. */
const pointedTo: Buffer[] = []

const devNull = cstring('/dev/null')
const allSignals = Buffer.alloc(SIGNAL_SET_SIZE, 0xff)
const noSignals = Buffer.alloc(SIGNAL_SET_SIZE)
