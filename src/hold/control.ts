// Talking to a holder: one command, one answer, on a datagram socket, all within one turn and a deadline. A token ties the
// answer to its command; one that comes late is passed over.
import { COMMAND_SIZE, holderCommands } from '../elf/holder.js'
import { closeFd } from '../native/descriptor.js'
import { errnoName, failedWith } from '../native/error.js'
import { readable, receiveNow, sendMessage } from '../native/socket.js'
import type { Fd, Pid } from '../native/types.js'
import { HolderError } from './error.js'

export interface Peer {
  readonly pid: Pid
  readonly pidfd: Fd
  /** Our copy of its fd 1. */
  readonly socket: Fd
}

/**
 * Gives a holder a command and waits for its answer.
 * @param fd the holder's fd that DROP is about, 0 for other commands
 * @param channel the open file that HOLD sends
 * @returns the result of the command, 0 or more
 * @throws HolderError `ended`, `silent` after the deadline, `refused` with the errno it answered
 */
export function command(
  { pid, pidfd, socket }: Peer,
  name: keyof typeof holderCommands,
  deadlineMs: number,
  fd = 0,
  channel?: Fd,
): number {
  const until = performance.now() + deadlineMs
  const token = nextToken++
  const bytes = Buffer.alloc(COMMAND_SIZE)
  bytes.writeUInt32LE(holderCommands[name], 0)
  bytes.writeUInt32LE(fd, 4)
  bytes.writeBigUInt64LE(token, 8)
  try {
    sendMessage(socket, bytes, channel === undefined ? [] : [channel])
  } catch (error) {
    if (failedWith(error, 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOTCONN'))
      throw new HolderError('ended', pid, undefined, { cause: error })
    if (failedWith(error, 'EAGAIN')) throw new HolderError('silent', pid, 'its queue is full', { cause: error })
    throw error
  }
  for (;;) {
    const ready = readable([socket, pidfd], until - performance.now())
    if (ready.length === 0) throw new HolderError('silent', pid, `no answer to ${name} within ${deadlineMs} ms`)
    const answer = ready.includes(socket) ? nextAnswer(socket) : null
    if (answer?.length === COMMAND_SIZE && answer.readBigUInt64LE(8) === token) {
      const result = answer.readInt32LE(4)
      if (result < 0) throw new HolderError('refused', pid, `${name}: ${errnoName(-result)}`)
      return result
    }
    if (answer === null && ready.includes(pidfd)) throw new HolderError('ended', pid)
  }
}

/** Throws away what a holder answered to an earlier supervisor. */
export function drain(socket: Fd): void {
  // A socket that was shut down reads as empty for ever.
  while (nextAnswer(socket)?.length);
}

function nextAnswer(socket: Fd): Buffer | null {
  try {
    const message = receiveNow(socket)
    for (const fd of message?.fds ?? []) closeFd(fd)
    return message?.bytes ?? null
  } catch (error) {
    // The holder's death is told by its pidfd.
    if (failedWith(error, 'ECONNRESET')) return null
    throw error
  }
}

/** Answers of an earlier supervisor that come late must not fit ours. */
let nextToken = BigInt(process.pid) << 32n
