// Names on their way. A daemon has renamed a file and said so, and died before the kernel moved the name: the path that the
// kernel tells is still the one of before, and leads nowhere. Whoever renames holds the locks of both folders until the name
// is moved, so what is not found is asked for once more when the folders above it have been free.
//
// With a write-back cache, the kernel gives the daemon the file's times in between, and moves the name only after that is
// answered: the relay answers it, and gives the daemon the times when the file is found.
// Source: fs/fuse/dir.c, fuse_rename_common and fuse_update_ctime; fs/fuse/inode.c, fuse_reverse_inval_entry.
import { FATTR } from '../../fuse/flags.js'
import { layout, sizeOf } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE, replyHeader } from '../../fuse/message.js'
import { type OpcodeName, opcodes } from '../../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import type { NodeHandle } from '../../kernel/node-handle.js'
import { attributesFrom } from '../companions/cached-attributes.js'
import type { Prober } from '../companions/prober.js'
import type { ResolverLine } from '../companions/resolver-line.js'
import type { DaemonId } from '../ids/known-names.js'
import { shapeOf } from '../translate/shapes.js'
import type { Daemon } from '../wire/daemon.js'

const header = layout('fuse_in_header')
const setattrIn = layout('fuse_setattr_in')
const attrOut = layout('fuse_attr_out')
const SETATTR = opcodes.SETATTR.number
const LINK = opcodes.LINK.number
const { FATTR_MTIME, FATTR_CTIME, FATTR_FH } = FATTR

/** Who waits for a name. */
interface Waiter {
  /** The requests that wait here, for whatever. */
  readonly parked: () => readonly Buffer[]
  /** Called if one of them may have the lock of a folder above, which then is never free unless others go on. */
  readonly isBlocked: () => void
  /** Called when the folders have been free, unless the kernel has forgotten the file meanwhile. */
  readonly again: () => void
}

interface UnderWay extends Waiter {
  readonly file: DaemonId
  /** What the kernel has cached of the file: struct fuse_attr. */
  readonly attributes: Buffer
  /** Whose lock is waited for now. */
  folder: DaemonId | null
}

export class NamesUnderWay {
  private readonly files = new Map<string, UnderWay>()
  private readonly waiting: (() => void)[] = []

  /**
   * @param times what is to be given to the daemon: struct fuse_setattr_in by the kernel's id. Outlives the life
   * @param callProber asks for the process that writes notifications, if there is none yet
   */
  constructor(
    private readonly line: ResolverLine,
    private readonly times: Map<string, Buffer>,
    private readonly callProber: () => void,
  ) {}

  prober: Prober | null = null

  get size(): number {
    return this.files.size
  }

  has(key: string): boolean {
    return this.files.has(key)
  }

  /** The process that writes notifications is there. */
  helpedBy(prober: Prober): void {
    this.prober = prober
    for (const go of this.waiting.splice(0)) go()
  }

  /**
   * Waits until the folders above a file have been free once.
   */
  await(key: string, file: NodeHandle, statx: Buffer, waiter: Waiter): void {
    const each: UnderWay = { ...waiter, file, attributes: attributesFrom(statx), folder: null }
    this.files.set(key, each)
    const isOver = (): boolean => this.files.get(key) !== each
    const climb = (at: NodeHandle): void => {
      if (isOver()) return
      const isAsked = this.line.parentOf(at.low, at.high, at.generation, (answer) => {
        if (isOver()) return
        if (answer === null || answer.result < 0) return this.arrived(key, each)
        const { handle } = answer
        const isRoot = handle.low === 1 && handle.high === 0
        const parked = each.parked()
        if (parked.some((request) => links(request, handle, file))) return this.arrived(key, each)
        const folders = [handle, ...(this.prober?.folders ?? [])]
        if (parked.some((request) => folders.some((folder) => mayHoldLock(request, folder)))) each.isBlocked()
        each.folder = handle
        this.whenFree(handle, () => (isRoot ? this.arrived(key, each) : climb(handle)))
      })
      if (!isAsked) this.arrived(key, each)
    }
    climb(file)
  }

  /** A request waits for the file. */
  waitedForBy(key: string, request: Buffer): void {
    const each = this.files.get(key)
    if (each?.folder && links(request, each.folder, each.file)) this.arrived(key, each)
  }

  /** The kernel holds it no more. */
  forget(key: string): void {
    this.files.delete(key)
    this.times.delete(key)
  }

  /**
   * The answer to a request that brings the times of a file whose name is under way; null for any other. The times are kept.
   * @param request as the kernel sent it
   */
  answerTo(key: string, request: Buffer): Buffer | null {
    const attributes = this.files.get(key)?.attributes
    if (!attributes || !bringsTimes(request)) return null
    const body = Buffer.from(request.subarray(IN_HEADER_SIZE, IN_HEADER_SIZE + setattrIn.$size))
    const view = new DataView(body.buffer, body.byteOffset, body.length)
    setattrIn.valid.set(view, 0, setattrIn.valid.get(view, 0) & ~FATTR_FH)
    body.fill(0, setattrIn.fh.offset, setattrIn.fh.offset + 8)
    this.times.set(key, body)
    const answer = Buffer.alloc(OUT_HEADER_SIZE + sizeOf('fuse_attr_out'))
    attributes.copy(answer, OUT_HEADER_SIZE + attrOut.attr.ino.offset)
    const out = new DataView(answer.buffer, answer.byteOffset, answer.length)
    const unique = [header.unique.offset, header.unique.offset + 4].map((at) => request.readUInt32LE(at))
    replyHeader(out, unique[0] ?? 0, unique[1] ?? 0, 0, answer.length - OUT_HEADER_SIZE)
    for (const which of ['mtime', 'mtimensec', 'ctime', 'ctimensec'] as const)
      body.copy(
        answer,
        OUT_HEADER_SIZE + attrOut.attr[which].offset,
        setattrIn[which].offset,
        setattrIn[which].offset + (which.endsWith('nsec') ? 4 : 8),
      )
    return answer
  }

  /** The file has been found: the daemon is given the times that it has missed. @throws Ended */
  found(key: string, daemon: Daemon, { low, high }: DaemonId): void {
    this.files.delete(key)
    const times = this.times.get(key)
    if (!times) return
    this.times.delete(key)
    daemon.ask('SETATTR', low, high, times)
  }

  private arrived(key: string, each: UnderWay): void {
    if (this.files.get(key) !== each) return
    this.files.delete(key)
    each.again()
  }

  private whenFree(folder: DaemonId, done: () => void): void {
    const { prober } = this
    if (prober) return prober.whenFree(folder.low, folder.high, done)
    if (this.waiting.length === 0) this.callProber()
    this.waiting.push(() => this.whenFree(folder, done))
  }
}

/** True of a SETATTR that brings the times of a file and nothing else, as the kernel sends it by itself. */
function bringsTimes(request: Buffer): boolean {
  if (request.readUInt32LE(header.opcode.offset) !== SETATTR) return false
  const valid = request.readUInt32LE(IN_HEADER_SIZE + setattrIn.valid.offset)
  return (valid & FATTR_MTIME) !== 0 && (valid & ~(FATTR_MTIME | FATTR_CTIME | FATTR_FH)) === 0
}

/**
 * True of a request that links the file in this folder. Whoever sent it has the folder's lock, so nobody else has, and it would
 * be waited for in vain. Source: fs/namei.c, do_linkat.
 */
function links(request: Buffer, folder: DaemonId, file: DaemonId): boolean {
  const isLink = request.readUInt32LE(header.opcode.offset) === LINK
  return isLink && isAt(request, header.nodeid.offset, folder) && isAt(request, IN_HEADER_SIZE, file)
}

/** What the kernel asks for while it has a folder's lock, be it shared; a name that it knows it looks up without. */
const underLock = new Set<number>(
  (
    [
      ...['LOOKUP', 'MKNOD', 'MKDIR', 'SYMLINK', 'LINK', 'CREATE', 'TMPFILE', 'UNLINK', 'RMDIR', 'RENAME', 'RENAME2'],
      ...['READDIR', 'READDIRPLUS', 'SETATTR', 'SETXATTR', 'REMOVEXATTR', 'FSYNCDIR'],
    ] as OpcodeName[]
  ).map((name) => opcodes[name].number),
)

function mayHoldLock(request: Buffer, folder: DaemonId): boolean {
  // Of two files that are exchanged, the times of one may come while the other is looked for.
  if (bringsTimes(request)) return true
  const opcode = request.readUInt32LE(header.opcode.offset)
  if (!underLock.has(opcode)) return false
  return (
    isAt(request, header.nodeid.offset, folder) || (shapeOf(opcode).isRename && isAt(request, IN_HEADER_SIZE, folder))
  )
}

const isAt = (request: Buffer, at: number, { low, high }: DaemonId): boolean =>
  request.readUInt32LE(at) === low && request.readUInt32LE(at + 4) === high
