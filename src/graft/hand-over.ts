// Giving an open file of ours to a stopped process. It fetches it itself, which takes three calls and no memory, where it has
// the right to (PTRACE_MODE_ATTACH over us) and knows us by our pid. Any other gets it over a socket pair made in it
// (SCM_RIGHTS), which asks no right of it.
//
//   scratch: | pair, 8 | byte, 8 | iovec, 16 | cmsghdr with one fd, 24 | msghdr, 56 |
import { constants } from 'node:os'
import { closeFd } from '../native/descriptor.js'
import { SyscallError } from '../native/error.js'
import { pidfdGetfd } from '../native/pidfd.js'
import { isSameFile } from '../native/process.js'
import { sendMessage } from '../native/socket.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'
import type { RemoteCalls } from './remote-calls.js'

const AF_UNIX = 1
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
const MSG_DONTWAIT = 0x40
const MSG_CMSG_CLOEXEC = 0x4000_0000
const BYTE = 8
const IOVEC = 16
const CONTROL = 32
const CONTROL_SIZE = 24
const CONTROL_FD = CONTROL + 16
const HEADER = 56
const SIZE = HEADER + 56

/**
 * Has the process fetch the file by pidfd_open(2) and pidfd_getfd(2).
 * @returns its descriptor there, CLOEXEC; the caller closes it there. Null where it may not, or takes another process for us
 * @throws GraftError `ended`
 */
export function fetched(remote: RemoteCalls, pid: Pid, file: Fd): RemoteFd | null {
  const us = remote.raw('pidfd_open', [process.pid, 0])
  if (us < 0) return null
  const fd = remote.raw('pidfd_getfd', [us, file, 0])
  remote.raw('close', [us])
  if (fd < 0) return null
  if (isThere(pid, fd as RemoteFd, file)) return fd as RemoteFd
  remote.raw('close', [fd])
  return null
}

/** In another pid namespace our pid is another process, or none. */
const isThere = (pid: Pid, fd: RemoteFd, file: Fd): boolean => isSameFile(pid, fd, process.pid as Pid, file, false)

/**
 * Over a socket pair.
 * @param pidfd names the process
 * @returns the file's descriptor there, CLOEXEC; the caller closes it there
 * @throws SyscallError as a call failed there or here, EMFILE if it has no descriptors left; then nothing stays open there
 * @throws GraftError `ended`
 */
export function handOver(remote: RemoteCalls, pidfd: Fd, file: Fd): RemoteFd {
  const at = remote.scratch()
  remote.call('socketpair', AF_UNIX, SOCK_DGRAM_CLOEXEC, 0, at)
  const pair = remote.look(0, 8)
  const [near, far] = [pair.readInt32LE(0), pair.readInt32LE(4)]
  try {
    const end = pidfdGetfd(pidfd, near as RemoteFd)
    try {
      sendMessage(end, Buffer.of(0), [file])
    } finally {
      closeFd(end)
    }
    remote.give(messageHeader(at).subarray(BYTE), BYTE)
    remote.call('recvmsg', far, at + HEADER, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)
    const control = remote.look(CONTROL_FD, 4)
    const fd = control.readInt32LE(0) as RemoteFd
    // The file found no place: recvmsg itself succeeds (MSG_CTRUNC).
    if (fd < 0) throw new SyscallError('recvmsg', constants.errno.EMFILE, 'a file for the daemon')
    return fd
  } finally {
    closePair(remote, near, far)
  }
}

/** Mostly one follows the other, and they go at once. */
function closePair(remote: RemoteCalls, near: number, far: number): void {
  if (far === near + 1 && remote.raw('close_range', [near, far, 0]) === 0) return
  remote.raw('close', [near])
  remote.raw('close', [far])
}

function messageHeader(at: number): Buffer {
  const bytes = Buffer.alloc(SIZE)
  const put = (value: number, offset: number) => bytes.writeBigUInt64LE(BigInt(value), offset)
  put(at + BYTE, IOVEC)
  put(1, IOVEC + 8)
  bytes.writeInt32LE(-1, CONTROL_FD)
  put(at + IOVEC, HEADER + 16)
  put(1, HEADER + 24)
  put(at + CONTROL, HEADER + 32)
  put(CONTROL_SIZE, HEADER + 40)
  return bytes
}
