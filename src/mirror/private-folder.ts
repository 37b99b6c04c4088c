// The private folder at the root of the source, `.mirrorfs/<mountpoint>/`. It holds what must outlive a life:
//   state              the number of the life, and the intent record (intent.ts)
//   <nodeid in hex>    a further link to each file whose last name is gone but which the kernel still holds, so that the
//                      next life finds it by its handle: an unlinked open file survives kill -9
// It is hidden from the mount, emptied when a fresh mount begins (the kernel can hold nothing then) and removed at its end.

import { cstring } from '../native/ffi.js'
import { close, dirent64, getdents } from '../native/files.js'
import { allocate } from '../native/memory.js'
import { atFlags, openFlags } from '../native/open-flags.js'
import { lockFile } from '../native/process.js'
import { linkAt, mkdirAt, openAt, unlinkAt } from '../native/tree.js'
import { EEXIST, EROFS } from './errno.js'
import { MirrorError } from './messages.js'
import type { Node, Nodes } from './nodes.js'

/** Its name in the root of the source. */
export const PRIVATE_NAME = '.mirrorfs'
const hiddenName = cstring(PRIVATE_NAME)

/** True if the name that stands at `at`, NUL included, is the private folder's. */
export function isPrivateName(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== 0x2e) return false
  return bytes.compare(hiddenName, 0, hiddenName.length, at, Math.min(at + hiddenName.length, bytes.length)) === 0
}

const { O_RDONLY, O_RDWR, O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC } = openFlags
const { AT_EMPTY_PATH, AT_REMOVEDIR } = atFlags
const STATE = cstring('state')
const HEX_DIGITS = 16

export class PrivateFolder {
  /** The state file, locked for this life; -1 if the source is read-only: nothing can change, nothing need be kept. */
  stateFd = -1
  private fd = -1
  private readonly pinned = new Set<Node>()
  private readonly name = allocate(HEX_DIGITS + 1)
  private readonly ownName: Buffer

  /**
   * @param root an open folder: the source
   * @param mountpoint tells mirrors of the same source apart; every life is given the same
   */
  constructor(
    private readonly root: number,
    private readonly nodes: Nodes,
    mountpoint: string,
  ) {
    this.ownName = cstring(fnv1a(mountpoint))
  }

  /**
   * Opens the folder, makes it where it is missing, and takes the lock that says that a life is running. A read-only
   * source has none.
   * @throws MirrorError ALREADY_MIRRORED
   */
  open(): void {
    mkdirAt(this.root, hiddenName, 0o700)
    const parent = openAt(this.root, hiddenName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    if (parent < 0) return
    mkdirAt(parent, this.ownName, 0o700)
    this.fd = openAt(parent, this.ownName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    close(parent)
    if (this.fd < 0) return
    const state = openAt(this.fd, STATE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
    if (state < 0) return
    if (!lockFile(state)) {
      close(state)
      throw new MirrorError('ALREADY_MIRRORED', `${PRIVATE_NAME}/${text(this.ownName)} is locked`)
    }
    this.stateFd = state
    for (const name of this.list()) {
      if (name.length !== HEX_DIGITS) continue
      this.mark(this.nodes.at(Number.parseInt(name.slice(8), 16), Number.parseInt(name.slice(0, 8), 16)))
    }
  }

  /** The pinned nodes. */
  get pins(): ReadonlySet<Node> {
    return this.pinned
  }

  /**
   * Gives the file `name` in `parent` a link here. 0, or a negative errno: EROFS where there is no private folder.
   * @param name an address
   */
  pin(node: Node, parent: number, name: number): number {
    if (this.fd < 0) return -EROFS
    return this.linked(node, linkAt(parent, name, this.fd, this.nameOf(node), 0))
  }

  /** The same for an open file that has no name. */
  pinOpen(node: Node, fd: number, empty: number): number {
    return this.linked(node, linkAt(fd, empty, this.fd, this.nameOf(node), AT_EMPTY_PATH))
  }

  /** Removes the link, and with it the file if it was the last. */
  unpin(node: Node): void {
    unlinkAt(this.fd, this.nameOf(node), 0)
    node.pinned = false
    this.pinned.delete(node)
  }

  /** Removes every link: nothing that the kernel holds can be here. */
  empty(): void {
    for (const node of [...this.pinned]) this.unpin(node)
  }

  /** Removes the folder at the end of the mount, and the one above it if no other mirror uses it. */
  remove(): void {
    if (this.fd < 0) return
    this.empty()
    unlinkAt(this.fd, STATE, 0)
    const parent = openAt(this.root, hiddenName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    if (parent >= 0) {
      unlinkAt(parent, this.ownName, AT_REMOVEDIR)
      close(parent)
    }
    unlinkAt(this.root, hiddenName, AT_REMOVEDIR)
  }

  private linked(node: Node, result: number): number {
    if (result < 0 && result !== -EEXIST) return result
    this.mark(node)
    return 0
  }

  private mark(node: Node): void {
    node.pinned = true
    this.pinned.add(node)
  }

  /** The address of the node's name, which lasts until the next. */
  private nameOf(node: Node): number {
    hex(this.name.bytes, 0, node.high)
    hex(this.name.bytes, 8, node.low)
    return this.name.address
  }

  private list(): string[] {
    const names: string[] = []
    const block = allocate(32768)
    for (;;) {
      const size = getdents(this.fd, block.address, block.bytes.length)
      if (size <= 0) return names
      for (let at = 0; at < size; at += block.view.getUint16(at + dirent64.d_reclen, true)) {
        const from = at + dirent64.d_name
        names.push(block.bytes.toString('latin1', from, block.bytes.indexOf(0, from)))
      }
    }
  }
}

const text = (name: Buffer): string => name.toString('latin1', 0, name.length - 1)

const DIGITS = Buffer.from('0123456789abcdef')

function hex(bytes: Buffer, at: number, value: number): void {
  for (let i = 0; i < 8; i++) bytes[at + i] = DIGITS[(value >>> (28 - 4 * i)) & 15] ?? 0
}

/** A name for a mountpoint that every life computes alike: FNV-1a of 64 bits. */
function fnv1a(mountpoint: string): string {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(mountpoint)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return `m${hash.toString(16)}`
}
