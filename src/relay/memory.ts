// What the relay keeps from life to life of a mount.

import { Retries } from './calls/retries.js'
import type { Leaving } from './find/kept-open.js'

export class Memory {
  /**
   * How many files were seen to keep their inode number from one life to the next: from then on, one that does not is another
   * file. Without that, two names that were just exchanged, and whose exchange the kernel has still to carry out, would be
   * taken for one another.
   */
  readonly evidence = { matches: 0 }
  /** Generations that nodeids of this mount were seen to have, the newest first. */
  readonly generations = [0]
  /**
   * The lower half of the daemon's id, in the life that removed its name, of what the kernel knows by an earlier one: libfuse
   * has named the hidden file after it. By kernel's id.
   */
  readonly hiddenAs = new Map<string, number>()
  /** Hidden files that a dead life may have left. By kernel's id. */
  readonly leavings = new Map<string, Leaving>()
  /** The names down to hidden files that were found, to be removed when nobody has them open any more. By kernel's id. */
  readonly hidden = new Map<string, readonly Buffer[]>()
  /** The times of files whose names were under way, for the daemon: struct fuse_setattr_in. By kernel's id. */
  readonly times = new Map<string, Buffer>()
  readonly retries = new Retries()
}
