// Acting for another user: whose a new file is, and what its mode loses. Only the calling thread is concerned, but the
// umask is the process's.
import { rawSyscall } from './ffi.js'

const PR_SET_DUMPABLE = 4
const PR_SET_SECUREBITS = 28
const SECBIT_NO_SETUID_FIXUP = 4

/**
 * Makes changes of the file system uid leave the capabilities as they are, so that a file can be created as its owner
 * with root's rights on the way to it. Needs CAP_SETPCAP. Returns a negative errno on failure. Source: capabilities(7).
 */
export const keepCapabilities = (): number => rawSyscall('prctl', PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)

/**
 * Whose the files are that this thread creates. The kernel clears the dumpable attribute with every change, and with it
 * the right of an ordinary supervisor to copy our descriptors: it is set again. Source: setfsuid(2), prctl(2).
 */
export function createAs(uid: number, gid: number): void {
  rawSyscall('setfsgid', gid)
  rawSyscall('setfsuid', uid)
  rawSyscall('prctl', PR_SET_DUMPABLE, 1)
}

/** umask(2). Returns the one before. */
export const umask = (mask: number): number => rawSyscall('umask', mask)

const RLIMIT_NOFILE = 7

/** Raises the limit of open files to the hard limit and returns it. Source: prlimit(2). */
export function raiseFileLimit(): number {
  const limit = Buffer.alloc(16)
  if (rawSyscall('prlimit64', 0, RLIMIT_NOFILE, 0, limit) < 0) return 1024
  limit.copy(limit, 0, 8, 16)
  rawSyscall('prlimit64', 0, RLIMIT_NOFILE, limit, 0)
  return Math.min(Number(limit.readBigUInt64LE(8)), 0x7fff_ffff)
}
