// Open files and folders by their handle (`fh`). A handle carries the number of the life that gave it out in its upper
// half, so that an earlier life's is never taken for one of ours: it is reopened from its nodeid when it is first used.
import { close } from '../native/files.js'
import { openFlags } from '../native/open-flags.js'
import { EBADF, EMFILE, EROFS } from './errno.js'
import type { Node, Nodes } from './nodes.js'

export interface OpenFile {
  readonly fd: number
  readonly node: Node
  /** The access mode and the few flags that mean something to the backing file. */
  readonly flags: number
  /** Of a folder: the cookie behind the last entry that was read, as the backing descriptor stands. */
  cookie: bigint
}

const { O_ACCMODE, O_RDONLY, O_WRONLY, O_RDWR, O_DSYNC, O_SYNC, O_NOATIME, O_DIRECTORY } = openFlags

/**
 * What of an application's open flags the backing file is opened with. O_APPEND never: the kernel gives every offset,
 * and an append that is repeated after a crash must not append twice. O_DIRECT neither: our buffers are not aligned.
 */
export const backingFlags = (flags: number): number => flags & (O_ACCMODE | O_SYNC | O_DSYNC | O_NOATIME)

export class OpenFiles {
  private readonly slots: (OpenFile | undefined)[] = []
  private readonly free: number[] = []
  private readonly reopened = new Map<string, OpenFile>()

  /** @param life the number of this life, which no other life of the mount has */
  constructor(
    private readonly nodes: Nodes,
    readonly life: number,
  ) {}

  /** Opens a node's file. The slot, which is the lower half of `fh`, or a negative errno. */
  open(node: Node, flags: number): number {
    const fd = this.openFd(node, flags)
    return fd < 0 ? fd : this.add(fd, node, flags)
  }

  /** Takes an open descriptor over. Returns the slot. */
  add(fd: number, node: Node, flags: number): number {
    const slot = this.free.pop() ?? this.slots.length
    this.slots[slot] = { fd, node, flags, cookie: 0n }
    return slot
  }

  /**
   * The open file of a handle; one of an earlier life is reopened.
   * @param flags what the request says of how it was opened; undefined if it does not say
   * @returns a negative errno if it cannot be
   */
  get(low: number, high: number, node: Node, flags: number | undefined): OpenFile | number {
    if (high === this.life) return this.slots[low] ?? -EBADF
    const key = `${high}:${low}`
    const known = this.reopened.get(key)
    if (known && serves(known.flags, flags)) return known
    if (known) close(known.fd)
    const file = this.reopen(node, flags)
    if (typeof file === 'number') this.reopened.delete(key)
    else this.reopened.set(key, file)
    return file
  }

  /** Closes a handle; one of an earlier life that was never used again needs nothing. */
  release(low: number, high: number): void {
    if (high === this.life) {
      const file = this.slots[low]
      if (!file) return
      close(file.fd)
      this.slots[low] = undefined
      this.free.push(low)
      return
    }
    const key = `${high}:${low}`
    const file = this.reopened.get(key)
    if (file) close(file.fd)
    this.reopened.delete(key)
  }

  private reopen(node: Node, flags: number | undefined): OpenFile | number {
    if (flags !== undefined) return this.opened(node, flags)
    const both = this.opened(node, O_RDWR)
    return both === -EROFS ? this.opened(node, O_RDONLY) : both
  }

  private opened(node: Node, flags: number): OpenFile | number {
    const fd = this.openFd(node, flags)
    return fd < 0 ? fd : { fd, node, flags, cookie: 0n }
  }

  private openFd(node: Node, flags: number): number {
    const fd = this.nodes.open(node, flags)
    if (fd !== -EMFILE) return fd
    this.nodes.closeAll()
    return this.nodes.open(node, flags)
  }
}

/** A handle that was reopened for reading may be asked to write once the request says how it was opened. */
function serves(flags: number, wanted: number | undefined): boolean {
  if (wanted === undefined || flags & O_DIRECTORY) return true
  const mode = flags & O_ACCMODE
  const need = wanted & O_ACCMODE
  return mode === O_RDWR || mode === need || (need !== O_RDWR && need !== O_WRONLY && mode !== O_WRONLY)
}
