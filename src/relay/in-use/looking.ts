// Looking at what procfs shows of a process's memory, which waits as long as the process changes its mappings; and that may
// wait for the mount (munmap(2) writes back what is dirty). So a companion looks, and we wait for it no longer than we want.
// Source: fs/proc/task_mmu.c, m_start; fs/fuse/file.c, fuse_vma_close.
import { RESOLVER_MESSAGE_SIZE, resolverMessage, resolverQuestions } from '../../elf/resolver.js'
import { type FileHandle, NODE_SIZE, readHandle } from '../../kernel/node-handle.js'
import { rawSyscall } from '../../native/ffi.js'
import { fileHandle, MAX_HANDLE_SZ } from '../../native/file-handles.js'
import { allocate, type Block } from '../../native/memory.js'
import { atFlags } from '../../native/open-flags.js'
import { pollEvents, pollOnce } from '../../native/poll.js'

/** So many answers fit the socket's queue for certain. */
const MOST_UNANSWERED = 3
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const { argument, result, token } = resolverMessage
/** Since the last answer. */
const PATIENCE_MS = 100
const { handle_bytes, f_handle } = fileHandle

/**
 * The texts of these files, empty where what is looked for is not in it: most are long and of no interest, and as strings
 * they would fill the heap. Null for one that can't be read; undefined for one, and all after it, that was not to be had in
 * time: then the companion is of no more use.
 * @param socket the companion's, -1 for none
 */
export const readFiles = (socket: number, paths: readonly string[], lookedFor: string): (string | null | undefined)[] =>
  askAll(
    socket,
    paths.map((path) => message(resolverQuestions.READ, 0, Buffer.from(path))),
    (bytes) => (bytes.includes(lookedFor, 0, 'latin1') ? bytes.toString('latin1') : ''),
  )

/** The handles of files of a FUSE mount, links followed. Null and undefined as for `readFiles`. */
export function handlesOf(
  socket: number,
  paths: readonly string[],
  withFolders = false,
): (FileHandle | null | undefined)[] {
  const { AT_SYMLINK_FOLLOW, AT_HANDLE_CONNECTABLE } = atFlags
  const flags = AT_SYMLINK_FOLLOW | (withFolders ? AT_HANDLE_CONNECTABLE : 0)
  const room = Buffer.alloc(f_handle + MAX_HANDLE_SZ)
  room.writeUInt32LE(MAX_HANDLE_SZ, handle_bytes)
  return askAll(
    socket,
    paths.map((path) => message(resolverQuestions.HANDLE, flags, Buffer.concat([room, Buffer.from(path)]))),
    (bytes) => (bytes.length < f_handle + NODE_SIZE ? null : readHandle(bytes)),
  )
}

let answers: Block | undefined
let counter = 0

function askAll<Answer>(
  socket: number,
  questions: readonly Buffer[],
  take: (bytes: Buffer) => Answer | null,
): (Answer | null | undefined)[] {
  const taken = new Array<Answer | null | undefined>(questions.length).fill(undefined)
  if (socket < 0 || questions.length === 0) return taken
  answers ??= allocate(RESOLVER_MESSAGE_SIZE)
  const first = counter
  counter = (counter + questions.length) % 0x1_0000_0000
  let asked = 0
  for (let at = 0; at < questions.length; at++) {
    for (let next = questions[asked]; next && asked - at < MOST_UNANSWERED; next = questions[++asked]) {
      next.writeUInt32LE((first + asked) >>> 0, token)
      if (rawSyscall('sendto', socket, next, next.length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0) < 0) return taken
    }
    const size = receive(socket, answers, (first + at) >>> 0)
    if (size === null) return taken
    taken[at] = answers.view.getInt32(result, true) < 0 ? null : take(answers.bytes.subarray(argument, size))
  }
  return taken
}

/** @param flags where an answer has its result */
function message(op: number, flags: number, body: Buffer): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(argument), body, Buffer.alloc(1)])
  bytes.writeUInt32LE(op)
  bytes.writeUInt32LE(flags, result)
  return bytes
}

/** The length of the answer with this number; those of an earlier time that came late are left out. Null if it is late. */
function receive(socket: number, { address, view }: Block, number: number): number | null {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const left = until - performance.now()
    if (left <= 0 || (pollOnce(socket, pollEvents.POLLIN, left) & pollEvents.POLLIN) === 0) return null
    const size = rawSyscall('read', socket, address, RESOLVER_MESSAGE_SIZE)
    if (size <= 0) return null
    if (size >= argument && view.getUint32(token, true) === number) return size
  }
}
