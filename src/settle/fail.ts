// Ending requests in flight with an error. With RESEND they come back marked, are read here and answered, and nothing
// else is touched. Without it their numbers are unknown: whatever is queued is read and answered, which tells the highest
// number, and from there each lower one is tried until the connection counts no waiting request.

import { opcodes } from '../fuse/opcodes.js'
import { waitingRequests } from '../kernel/connection.js'
import { errnoName, SyscallError } from '../native/error.js'
import { rawSyscall } from '../native/ffi.js'
import { withoutBlocking } from '../native/files.js'
import { pollEvents, pollOnce } from '../native/poll.js'
import type { Fd } from '../native/types.js'
import { startProber } from '../revive/prober.js'
import { RESENT, resend } from './resend.js'
import type { Settled } from './settle.js'

/**
 * @param errno positive
 * @param canResend false to do without RESEND, as on a kernel before 6.9
 */
export function failInFlight(
  channel: Fd,
  connection: number,
  mountpoint: string,
  errno: number,
  canResend: boolean = true,
): Settled {
  return withoutBlocking(channel, () => {
    const unread = new Set<bigint>()
    if (canResend) readMarked(channel, unread)
    const failed =
      canResend && resend(channel)
        ? failMarked(channel, errno, unread)
        : failAll(channel, connection, mountpoint, errno, unread)
    return { policy: `fail:${errnoName(errno)}`, failed }
  })
}

/**
 * What waits in the queue was read by no life, also if it is marked: then it was read by us, before a life that died without
 * having read it. Marked ones come first, so that no more than one other is read.
 */
function readMarked(channel: Fd, unread: Set<bigint>): void {
  for (let request = readRequest(channel, 0); request; request = readRequest(channel, 0)) {
    if (request.noReply) continue
    unread.add(request.unique & ~RESENT)
    if (!(request.unique & RESENT)) return
  }
}

function failMarked(channel: Fd, errno: number, unread: Set<bigint>): number {
  let failed = 0
  for (let request = readRequest(channel, 0); request; request = readRequest(channel, 0)) {
    if (request.noReply) continue
    if (request.unique & RESENT && !unread.has(request.unique & ~RESENT)) {
      if (answer(channel, request.unique, errno)) failed++
      continue
    }
    unread.add(request.unique & ~RESENT)
    if (!(request.unique & RESENT)) break
  }
  // What no life has seen has been read by us now, so it must come again.
  if (unread.size > 0) resend(channel)
  return failed
}

/** @param taken requests that have been read from the queue already */
function failAll(channel: Fd, connection: number, mountpoint: string, errno: number, taken: Set<bigint>): number {
  let failed = 0
  let highest = 0n
  for (const unique of taken) {
    if (unique > highest) highest = unique
    if (answer(channel, unique, errno)) failed++
  }
  const drain = (timeoutMs: number) => {
    for (let request = readRequest(channel, timeoutMs); request; request = readRequest(channel, 0)) {
      if (request.noReply) continue
      const number = request.unique & ~RESENT
      if (number > highest) highest = number
      if (answer(channel, request.unique, errno)) failed++
    }
  }
  drain(0)
  if (waitingRequests(connection) === 0) return failed
  if (highest === 0n) {
    // Nothing was queued: a request of our own tells how far the numbers have come.
    startProber(mountpoint).child.unref()
    drain(PROBE_DEADLINE_MS)
  }
  for (let unique = highest; unique > 0n; unique -= STEP) {
    if (answer(channel, unique, errno) || answer(channel, unique | RESENT, errno)) failed++
    if (unique % (STEP * 1024n) === 0n && waitingRequests(connection) === 0) break
  }
  return failed
}

const PROBE_DEADLINE_MS = 1000
/** Request numbers are even: FUSE_REQ_ID_STEP. The odd one above is its INTERRUPT. */
const STEP = 2n

const UNIQUE_AT = 8
const OPCODE_AT = 4
/** FORGET, INTERRUPT and BATCH_FORGET. */
const unanswered = new Set<number>(Object.values(opcodes).flatMap(({ number, reply }) => (reply ? [] : [number])))

interface SeenRequest {
  readonly unique: bigint
  readonly noReply: boolean
}

/**
 * The next request's number, null if none comes in time. Nobody else reads the channel; but an application that is killed
 * takes its request out of the queue, so that a file that blocks could make us wait for the next one.
 */
function readRequest(channel: Fd, timeoutMs: number): SeenRequest | null {
  if ((pollOnce(channel, pollEvents.POLLIN, timeoutMs) & pollEvents.POLLIN) === 0) return null
  buffer ??= Buffer.allocUnsafeSlow((1 << 20) + (1 << 16))
  const size = rawSyscall('read', channel, buffer, buffer.length)
  if (size === -EAGAIN) return null
  if (size === -EINVAL && buffer.length < LARGEST_BUFFER) {
    // The buffer must hold the largest request of this connection (max_write).
    buffer = Buffer.allocUnsafeSlow(buffer.length * 4)
    return readRequest(channel, 0)
  }
  if (size === -ENOENT || size === -EINTR) return readRequest(channel, 0)
  if (size < 0) throw new SyscallError('read', -size, 'the channel')
  return { unique: buffer.readBigUInt64LE(UNIQUE_AT), noReply: unanswered.has(buffer.readUInt32LE(OPCODE_AT)) }
}

const ENOENT = 2
const EINTR = 4
const EAGAIN = 11
const EINVAL = 22
const LARGEST_BUFFER = 1 << 29
/** Made when it is first needed; memory that is never written is none. */
let buffer: Buffer | undefined
const reply = Buffer.alloc(16)

/** Answers a request with an error. False if there is no such request. */
function answer(channel: Fd, unique: bigint, errno: number): boolean {
  reply.writeUInt32LE(16, 0)
  reply.writeInt32LE(-errno, 4)
  reply.writeBigUInt64LE(unique, UNIQUE_AT)
  const result = rawSyscall('write', channel, reply, reply.length)
  if (result === -ENOENT) return false
  if (result < 0) throw new SyscallError('write', -result, `the answer to request ${unique}`)
  return true
}
