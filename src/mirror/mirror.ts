// What the operations share: the source, the buffers, the tables of nodes and handles, and the state that outlives us.

import { OUT_HEADER_SIZE } from '../fuse/message.js'
import type { Request } from '../fuse/request.js'
import { createAs, umask } from '../native/credentials.js'
import { allocate, type Block } from '../native/memory.js'
import { Intent } from './intent.js'
import { MAX_MESSAGE } from './negotiated.js'
import { type Node, Nodes } from './nodes.js'
import { OpenFiles } from './open-files.js'
import { PrivateFolder } from './private-folder.js'
import type { Source } from './source.js'

/** A request's outcome: the length of the reply's body, a negative errno, or that there is no reply. */
export type Outcome = number
export const NO_REPLY: Outcome = -0x1_0000

/** Where a life may be ended by a test: before anything, with the record written, with the change made, unanswered. */
export type Step = 'read' | 'recorded' | 'executed'
/** May refuse what was read: by the errno that it returns. */
export type OnStep = (step: Step, request: Request) => number | undefined

/** Where a reply's body begins in `reply`. */
export const BODY = OUT_HEADER_SIZE

const MAX_CACHED_FDS = 4096

export class Mirror {
  /** The buffer that requests are read into. */
  readonly message: Block = allocate(MAX_MESSAGE)
  /** The buffer that replies are written from. */
  readonly reply: Block = allocate(MAX_MESSAGE)
  readonly scratch: Block = allocate(1024)
  /** The address of an empty path. */
  readonly empty: number
  /** The address of the path `.`. */
  readonly dot: number
  /** The address of "/proc/self/fd/N" after `procPath`. */
  private readonly path: number
  readonly nodes: Nodes
  readonly files: OpenFiles
  readonly folder: PrivateFolder
  readonly intent = new Intent()
  private uid = 0
  private gid = 0
  private mask: number

  /**
   * @param fileLimit how many files this process may open
   * @throws MirrorError ALREADY_MIRRORED
   */
  constructor(
    readonly source: Source,
    mountpoint: string,
    fileLimit: number,
    readonly onStep: OnStep | undefined,
  ) {
    this.empty = this.scratch.address + scratchAt.empty
    this.dot = this.scratch.address + scratchAt.dot
    this.path = this.scratch.address + scratchAt.path
    this.scratch.bytes.write('.', scratchAt.dot)
    this.scratch.bytes.write(PROC_FD, scratchAt.path, 'latin1')
    this.nodes = new Nodes(source, Math.min(MAX_CACHED_FDS, fileLimit >> 2))
    this.folder = new PrivateFolder(source.fd, this.nodes, mountpoint)
    this.folder.open()
    this.files = new OpenFiles(this.nodes, this.intent.begin(this.folder.stateFd))
    this.mask = 0
    umask(0)
  }

  /** The node that the request's header names. */
  node(request: Request): Node {
    return this.nodes.at(request.nodeLow, request.nodeHigh)
  }

  /** An O_PATH descriptor of it, or a negative errno. */
  nodeFd(request: Request): number {
    return this.nodes.pathFd(this.nodes.at(request.nodeLow, request.nodeHigh))
  }

  /** The address of a path to what a descriptor is open on; it lasts until the next. */
  procPath(fd: number): number {
    const { bytes } = this.scratch
    let end = scratchAt.path + PROC_FD.length
    for (let rest = fd; rest > 9; rest = Math.floor(rest / 10)) end++
    bytes[end + 1] = 0
    for (let rest = fd, at = end; at >= scratchAt.path + PROC_FD.length; at--) {
      bytes[at] = 0x30 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
    return this.path
  }

  /** What is created next is the caller's, with these bits of its mode left out. */
  actAs(request: Request, mask: number): void {
    if (request.uid !== this.uid || request.gid !== this.gid) {
      createAs(request.uid, request.gid)
      this.uid = request.uid
      this.gid = request.gid
    }
    if (mask !== this.mask) {
      umask(mask)
      this.mask = mask
    }
  }
}

const PROC_FD = '/proc/self/fd/'

/** Where things lie in `scratch`. */
export const scratchAt = { statx: 0, statfs: 256, times: 384, offsets: 416, empty: 432, dot: 440, path: 448 } as const
