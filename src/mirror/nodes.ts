// The inodes that the kernel asks for, by nodeid. Nothing here has to survive: a nodeid is a file handle, so a node that
// this life has never seen is opened by it. What is kept is a bounded cache of descriptors and the counts of lookups.

import { fileHandle, MAX_HANDLE_SZ, nameToHandle, openByHandle } from '../native/file-handles.js'
import { close } from '../native/files.js'
import { allocate, type Block } from '../native/memory.js'
import { openFlags } from '../native/open-flags.js'
import { EOVERFLOW, EXDEV } from './errno.js'
import type { HandleType } from './handle-types.js'

export interface Node {
  /** The nodeid's halves: the inode, and the generation. */
  readonly low: number
  readonly high: number
  /** How often this life named it to the kernel and was not told to forget. */
  lookups: number
  /** An O_PATH descriptor, or -1. */
  fd: number
  /** Asked for since the last round of the cache. */
  used: boolean
  /** True if the private folder keeps it alive. */
  pinned: boolean
  /** Another generation of the same inode. */
  next: Node | undefined
}

/** The root of the source, as found at the start. */
export interface Root {
  /** An open folder, not O_PATH: handles are opened relative to it. */
  readonly fd: number
  readonly type: HandleType
  /** f_handle of the root, for its constants. */
  readonly handle: Buffer
}

const { O_PATH, O_CLOEXEC } = openFlags

export class Nodes {
  readonly root: Node
  /** What `identify` found: the halves of its nodeid. */
  foundLow = 0
  foundHigh = 0
  private readonly byInode = new Map<number, Node>()
  private readonly handle: Block
  private readonly found: Block
  private readonly mountId = allocate(8)
  /** The nodes that have a descriptor, in a ring; `hand` is the next that may lose it. */
  private readonly ring: Node[] = []
  private hand = 0

  /** @param room how many descriptors to keep at most */
  constructor(
    private readonly source: Root,
    private room: number,
  ) {
    this.root = { low: 1, high: 0, lookups: 0, fd: source.fd, used: true, pinned: false, next: undefined }
    this.handle = allocate(fileHandle.f_handle + MAX_HANDLE_SZ)
    this.handle.view.setUint32(fileHandle.handle_bytes, source.type.bytes, true)
    this.handle.view.setInt32(fileHandle.handle_type, source.type.type, true)
    source.handle.copy(this.handle.bytes, fileHandle.f_handle)
    this.found = allocate(fileHandle.f_handle + MAX_HANDLE_SZ)
    this.byInode.set(1, this.root)
  }

  /** The node of a nodeid; a new one if this life has not met it. */
  at(low: number, high: number): Node {
    const first = this.byInode.get(low)
    for (let node = first; node !== undefined; node = node.next) if (node.high === high) return node
    const node = { low, high, lookups: 0, fd: -1, used: false, pinned: false, next: first }
    this.byInode.set(low, node)
    return node
  }

  /**
   * Which node `name` in the folder `fd` is: its nodeid goes to foundLow and foundHigh. 0 or a negative errno.
   * @param name an address
   */
  identify(fd: number, name: number, flags: number): number {
    const { view } = this.found
    view.setUint32(fileHandle.handle_bytes, MAX_HANDLE_SZ, true)
    const result = nameToHandle(fd, name, this.found.address, this.mountId.address, flags)
    if (result < 0) return result
    const { type, bytes, inode, inodeHigh, generation, constant } = this.source.type
    const at = fileHandle.f_handle
    if (view.getInt32(fileHandle.handle_type, true) !== type) return -EXDEV
    if (view.getUint32(fileHandle.handle_bytes, true) !== bytes) return -EXDEV
    if (inodeHigh >= 0 && view.getUint32(at + inodeHigh, true) !== 0) return -EOVERFLOW
    for (let i = constant[0]; i < constant[1]; i++) if (view.getUint8(at + i) !== this.source.handle[i]) return -EXDEV
    this.foundLow = view.getUint32(at + inode, true)
    this.foundHigh = view.getUint32(at + generation, true)
    return 0
  }

  /** The node that the last `identify` found. */
  get foundNode(): Node {
    return this.at(this.foundLow, this.foundHigh)
  }

  /** True if the last `identify` found the node of these halves. */
  isFound(low: number, high: number): boolean {
    return this.foundLow === low && this.foundHigh === high
  }

  /** An O_PATH descriptor of the node, which stays the cache's; or a negative errno, ESTALE if its file is gone. */
  pathFd(node: Node): number {
    node.used = true
    if (node.fd >= 0) return node.fd
    const fd = this.open(node, O_PATH)
    if (fd < 0) return fd
    this.keep(node, fd)
    return fd
  }

  /** Opens the node's file anew; the descriptor is the caller's. Or a negative errno. */
  open(node: Node, flags: number): number {
    const { inode, inodeHigh, generation } = this.source.type
    const at = fileHandle.f_handle
    if (node === this.root) this.source.handle.copy(this.handle.bytes, at)
    else {
      this.handle.view.setUint32(at + inode, node.low, true)
      if (inodeHigh >= 0) this.handle.view.setUint32(at + inodeHigh, 0, true)
      this.handle.view.setUint32(at + generation, node.high, true)
    }
    return openByHandle(this.source.fd, this.handle.address, flags | O_CLOEXEC)
  }

  /**
   * The kernel forgets `count` lookups of a node. True if it has let it go: an earlier life's lookups are not known here,
   * so a count at least as large as ours is all there were.
   */
  forget(node: Node, count: number): boolean {
    node.lookups -= count
    if (node.lookups > 0 || node === this.root) return false
    node.lookups = 0
    this.drop(node)
    return true
  }

  /** Gives back every cached descriptor, when there are no more to be had. */
  closeAll(): void {
    for (const node of this.ring) this.closeFd(node)
    this.ring.length = 0
    this.room = Math.max(16, this.room >> 1)
  }

  private drop(node: Node): void {
    this.closeFd(node)
    const first = this.byInode.get(node.low)
    if (first === node) {
      if (node.next) this.byInode.set(node.low, node.next)
      else this.byInode.delete(node.low)
      return
    }
    for (let before = first; before; before = before.next) if (before.next === node) before.next = node.next
  }

  /** A second chance for those that were used since the hand last passed. */
  private keep(node: Node, fd: number): void {
    node.fd = fd
    if (this.ring.length < this.room) {
      this.ring.push(node)
      return
    }
    for (;;) {
      this.hand = (this.hand + 1) % this.ring.length
      const victim = this.ring[this.hand]
      if (victim?.used && victim.fd >= 0) victim.used = false
      else {
        if (victim) this.closeFd(victim)
        this.ring[this.hand] = node
        return
      }
    }
  }

  private closeFd(node: Node): void {
    if (node.fd >= 0 && node !== this.root) close(node.fd)
    if (node !== this.root) node.fd = -1
  }
}

/** The handle of an open folder: its type, and f_handle; or a negative errno. */
export function handleOf(fd: number): { type: number; handle: Buffer } | number {
  const block = allocate(fileHandle.f_handle + MAX_HANDLE_SZ)
  const ids = allocate(16)
  block.view.setUint32(fileHandle.handle_bytes, MAX_HANDLE_SZ, true)
  const AT_EMPTY_PATH = 0x1000
  const result = nameToHandle(fd, ids.address + 8, block.address, ids.address, AT_EMPTY_PATH)
  if (result < 0) return result
  const length = block.view.getUint32(fileHandle.handle_bytes, true)
  return {
    type: block.view.getInt32(fileHandle.handle_type, true),
    handle: Buffer.from(block.bytes.subarray(fileHandle.f_handle, fileHandle.f_handle + length)),
  }
}
