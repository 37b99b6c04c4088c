// Looking at what procfs shows of a process's memory, which waits as long as the process changes its mappings; and that may
// wait for the mount (munmap(2) writes back what is dirty). So a companion looks, and we wait for it no longer than we want.
// Source: fs/proc/task_mmu.c, m_start; fs/fuse/file.c, fuse_vma_close.
import { RESOLVER_MESSAGE_SIZE, resolverMessage, resolverQuestions } from '../elf/resolver.js'
import { rawSyscall } from '../native/ffi.js'
import { allocate, type Block } from '../native/memory.js'
import { pollEvents, pollOnce } from '../native/poll.js'

export interface NodeHandle {
  readonly low: number
  readonly high: number
  readonly generation: number
}

/** So many answers fit the socket's queue for certain. */
const MOST_UNANSWERED = 3
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const { argument, token } = resolverMessage
/** Since the last answer. */
const PATIENCE_MS = 100
const HANDLE_SIZE = 20
/** Source: fs/fuse/inode.c, fuse_encode_fh. */
export const FILEID_INO64_GEN = 0x81

/**
 * The texts of these files, empty where what is looked for is not in it: most are long and of no interest, and as strings
 * they would fill the heap. Null for one that can't be read; undefined for one, and all after it, that was not to be had in
 * time: then the companion is of no more use.
 * @param socket the companion's, -1 for none
 */
export const readFiles = (socket: number, paths: readonly string[], lookedFor: string): (string | null | undefined)[] =>
  askAll(socket, resolverQuestions.READ, paths, (bytes) =>
    bytes.includes(lookedFor, 0, 'latin1') ? bytes.toString('latin1') : '',
  )

/** The nodeids of files of a FUSE mount, links followed. Null and undefined as for `readFiles`. */
export const handlesOf = (socket: number, paths: readonly string[]): (NodeHandle | null | undefined)[] =>
  askAll(socket, resolverQuestions.HANDLE, paths, (bytes) =>
    bytes.length < HANDLE_SIZE || bytes.readUInt32LE(0) < 12 || bytes.readUInt32LE(4) !== FILEID_INO64_GEN
      ? null
      : { high: bytes.readUInt32LE(8), low: bytes.readUInt32LE(12), generation: bytes.readUInt32LE(16) },
  )

let answers: Block | undefined
let counter = 0

function askAll<Answer>(
  socket: number,
  op: number,
  paths: readonly string[],
  take: (bytes: Buffer) => Answer | null,
): (Answer | null | undefined)[] {
  const taken = new Array<Answer | null | undefined>(paths.length).fill(undefined)
  if (socket < 0 || paths.length === 0) return taken
  answers ??= allocate(RESOLVER_MESSAGE_SIZE)
  const first = counter
  counter = (counter + paths.length) % 0x1_0000_0000
  let asked = 0
  for (let at = 0; at < paths.length; at++) {
    while (asked < paths.length && asked - at < MOST_UNANSWERED) {
      if (!ask(socket, op, (first + asked) >>> 0, paths[asked] ?? '')) return taken
      asked++
    }
    const size = receive(socket, answers, (first + at) >>> 0)
    if (size === null) return taken
    taken[at] =
      answers.view.getInt32(resolverMessage.result, true) < 0 ? null : take(answers.bytes.subarray(argument, size))
  }
  return taken
}

function ask(socket: number, op: number, number: number, path: string): boolean {
  const question = Buffer.alloc(argument + Buffer.byteLength(path) + 1)
  question.writeUInt32LE(op)
  question.writeUInt32LE(number, token)
  question.write(path, argument)
  return rawSyscall('sendto', socket, question, question.length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0) >= 0
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
