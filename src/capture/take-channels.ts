// Taking a copy of a daemon's channel. A daemon may have several: one descriptor can be a dup of another, and with
// clone_fd each of its threads has a file of its own (FUSE_DEV_IOC_CLONE), whose requests die with that file.
import { KeepmountError } from '../errors/error.js'
import { type FuseFd, fuseFdsOf, mayServe, servesNothing } from '../kernel/process.js'
import { closeFd } from '../native/descriptor.js'
import { failedWith, SyscallError } from '../native/error.js'
import { pidfdGetfd, pidfdOpen } from '../native/pidfd.js'
import { isSameFile } from '../native/process.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'

/** The descriptors of `pid` that are different open files of the connection's channel, the lowest first. */
export const channelFdsOf = (pid: Pid, connection: number): RemoteFd[] => fuseFilesOf(pid, connection).channels

/**
 * The same at one moment with those that are open and no channel yet (`coming`): each may become a clone of any channel that
 * `pid` has.
 */
export function fuseFilesOf(pid: Pid, connection: number): { channels: RemoteFd[]; coming: RemoteFd[] } {
  const all = fuseFdsOf(pid)
  return {
    channels: distinctAmong(
      pid,
      all.filter((fuse) => mayServe(fuse, connection)),
    ),
    coming: distinctAmong(pid, all.filter(servesNothing)),
  }
}

function distinctAmong(pid: Pid, all: readonly FuseFd[]): RemoteFd[] {
  const distinct: RemoteFd[] = []
  for (const { fd } of all) if (!distinct.some((other) => isSame(pid, other, pid, fd))) distinct.push(fd)
  return distinct
}

/**
 * Copies one descriptor of another process into ours. The caller closes it.
 * @throws KeepmountError NO_RIGHT_TO_CAPTURE
 * @throws SyscallError ESRCH, EBADF if the process or the descriptor is gone
 */
export function takeFd(pid: Pid, fd: RemoteFd): Fd {
  const pidfd = pidfdOpen(pid)
  try {
    return pidfdGetfd(pidfd, fd)
  } catch (error) {
    if (!failedWith(error, 'EPERM') || !(error instanceof SyscallError)) throw error
    throw new KeepmountError('NO_RIGHT_TO_CAPTURE', { pid, reason: error.message }, { cause: error })
  } finally {
    closeFd(pidfd)
  }
}

/** True if both are the same open file; where the kernel has no kcmp, if they are the same descriptor. */
export const isSame = (pid1: Pid, fd1: RemoteFd, pid2: Pid, fd2: RemoteFd): boolean =>
  isSameFile(pid1, fd1, pid2, fd2, pid1 === pid2 && fd1 === fd2)
