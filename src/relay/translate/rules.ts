// What the relay does about each opcode beyond what the protocol's table says: one row an opcode that needs it.
import type { OpcodeName } from '../../fuse/opcodes.js'

export interface Rule {
  /** The request carries open(2)'s flags, with which a handle of an earlier life is opened again. */
  readonly openFlags?: true
  /** What to try otherwise, in this order: the ways to open a file that suffice for the request. */
  readonly reopen?: readonly Access[]
  /** A handle of an earlier life that nothing was done with since is not opened for this: it is answered with success. */
  readonly unopened?: 'succeeds'
  /** A handle of an earlier life is left out of the request, which then is about the nodeid. */
  readonly handleOptional?: true
  /** Two handles: the second one is written to. */
  readonly secondWrites?: true
  /**
   * It gives the kernel no nodeid and takes no name away: it may go on while what applications hold on to is still looked for,
   * whatever that will be.
   */
  readonly early?: true
  /** What locks are: those of an earlier life are lost, which is said once. */
  readonly locks?: true
}
export type Access = 'read' | 'write' | 'both'

const any = ['both', 'read', 'write'] as const
const readable = ['read', 'both', 'write'] as const
const writable = ['both', 'write', 'read'] as const

export const rules: { readonly [Name in OpcodeName]?: Rule } = {
  READ: { openFlags: true, reopen: readable, early: true },
  WRITE: { openFlags: true, reopen: writable, early: true },
  READDIR: { reopen: readable, early: true },
  READDIRPLUS: { reopen: readable },
  GETATTR: { handleOptional: true, early: true },
  SETATTR: { handleOptional: true },
  STATX: { handleOptional: true, early: true },
  // Not early: while it waits the kernel still holds a file that was unlinked, and it can be found out what that was.
  FLUSH: { unopened: 'succeeds' },
  RELEASE: { unopened: 'succeeds' },
  RELEASEDIR: { unopened: 'succeeds' },
  FSYNC: { reopen: any, early: true },
  // Not early either: what is open then would be taken for what an earlier life has opened.
  OPEN: {},
  OPENDIR: { early: true },
  STATFS: { early: true },
  READLINK: { early: true },
  GETXATTR: { early: true },
  LISTXATTR: { early: true },
  ACCESS: { early: true },
  FSYNCDIR: { reopen: readable, early: true },
  GETLK: { reopen: any, locks: true },
  SETLK: { reopen: any, locks: true },
  SETLKW: { reopen: any, locks: true },
  IOCTL: { reopen: any },
  POLL: { reopen: any },
  FALLOCATE: { reopen: writable },
  LSEEK: { reopen: any },
  COPY_FILE_RANGE: { reopen: any, secondWrites: true },
  COPY_FILE_RANGE_64: { reopen: any, secondWrites: true },
  SETUPMAPPING: { reopen: any },
}
