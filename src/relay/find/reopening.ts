// Handles of an earlier life: opened again when they are used first, the way the request needs it.
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { openFlags } from '../../native/open-flags.js'
import type { Access } from '../translate/rules.js'
import type { Shape } from '../translate/shapes.js'
import type { Translator } from '../translate/translator.js'
import { readUpTo } from '../wire/directory.js'

const { O_CREAT, O_EXCL, O_TRUNC, O_NOCTTY, O_DIRECTORY, O_ACCMODE } = openFlags
/** What only the first opening does. */
const ONCE = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY
/** What is open behind the relay is open without O_DIRECT; see translator.ts. */
const LEFT_OUT = ONCE | openFlags.O_DIRECT
const accessFlags = { read: 0, write: 1, both: 2 } as const satisfies Record<Access, number>
const readIn = layout('fuse_read_in')
const releaseIn = layout('fuse_release_in')
const attrOut = layout('fuse_attr_out')
const getattrBody = Buffer.alloc(layout('fuse_getattr_in').$size)

const ENOENT = 2
const ENOSYS = 38
const ESTALE = 116
/** Errors for which another way of opening may succeed: EPERM, EACCES, EISDIR, EINVAL, ETXTBSY, EROFS. */
const otherWay = new Set([1, 13, 21, 22, 26, 30])

export class Reopening {
  private readonly later: { node: { low: number; high: number }; body: Buffer; isDirectory: boolean }[] = []

  constructor(private readonly translator: Translator) {}

  /**
   * Opens the node again that the handle of an earlier life was open on.
   * @param flags those of the request, -1 if it carries none
   * @returns the slot of the handle, or a negative errno. @throws Ended
   */
  reopen(shape: Shape, node: number, fhLow: number, fhHigh: number, flags: number, isSecond: boolean): number {
    const { nodes, handles, daemon, surroundings, keptOpen } = this.translator
    if (shape.rule.locks) surroundings.report('locks of an earlier life are lost')
    // Another request may have opened it in a way that suffices.
    const [low, high] = [nodes.daemonLow[node] ?? 0, nodes.daemonHigh[node] ?? 0]
    let error = -ESTALE
    for (const candidate of candidates(shape, flags, isSecond)) {
      const body = Buffer.alloc(8)
      body.writeUInt32LE((candidate | (shape.isDirectory ? O_DIRECTORY : 0)) >>> 0)
      const size = daemon.ask(shape.isDirectory ? 'OPENDIR' : 'OPEN', low, high, body)
      // A daemon without handles: the kernel's number is as good as any.
      if (size === -ENOSYS) return handles.reopened(fhLow, fhHigh, node, fhLow, fhHigh, candidate)
      if (size >= OUT_HEADER_SIZE + 8) {
        const view = daemon.answer
        const [ownLow, ownHigh] = [view.getUint32(OUT_HEADER_SIZE, true), view.getUint32(OUT_HEADER_SIZE + 4, true)]
        return handles.reopened(fhLow, fhHigh, node, ownLow, ownHigh, candidate)
      }
      error = size === -ENOENT ? -ESTALE : size
      if (!otherWay.has(-size)) break
    }
    const kept = keptOpen.take(nodes.kernelLow[node] ?? 0, nodes.kernelHigh[node] ?? 0)
    return kept ? handles.reopened(fhLow, fhHigh, node, kept.fhLow, kept.fhHigh, kept.flags) : error
  }

  /**
   * Brings a reopened folder to the offset that the READDIR in `view` asks for. Where an offset is a place in the listing
   * and the folder is not what it was, what has been read of it can't be told: it is read from its beginning again, since
   * a name that comes twice does less harm than one that never comes.
   * @throws Ended
   */
  prime(node: number, handle: number, view: DataView): void {
    const { nodes, handles, daemon, surroundings } = this.translator
    handles.primed[handle] = 1
    const offset = readIn.offset.get(view, IN_HEADER_SIZE)
    if (offset === 0n) return
    const fh = (BigInt(handles.daemonHigh[handle] ?? 0) << 32n) | BigInt(handles.daemonLow[handle] ?? 0)
    const { found, byPlace } = readUpTo(daemon, nodes.daemonLow[node] ?? 0, nodes.daemonHigh[node] ?? 0, fh, offset)
    if (!byPlace || (found && !this.hasChanged(node))) return
    surroundings.report('a folder that was half read has changed and is read from its beginning again')
    readIn.offset.set(view, IN_HEADER_SIZE, 0n)
  }

  /** True if the folder has been changed since the kernel last looked at it in an earlier life. @throws Ended */
  private hasChanged(node: number): boolean {
    const { nodes, stale, daemon } = this.translator
    const before = stale.belongings.modified(nodes.kernelLow[node] ?? 0, nodes.kernelHigh[node] ?? 0)
    if (before === undefined) return false
    const size = daemon.ask('GETATTR', nodes.daemonLow[node] ?? 0, nodes.daemonHigh[node] ?? 0, getattrBody)
    if (size < OUT_HEADER_SIZE + attrOut.$size) return false
    const { mtime, mtimensec } = attrOut.attr
    return (
      before !==
      mtime.get(daemon.answer, OUT_HEADER_SIZE) * 1_000_000_000n + BigInt(mtimensec.get(daemon.answer, OUT_HEADER_SIZE))
    )
  }

  /** A handle of the node without O_APPEND, for one request; -1 if there is none. The caller closes it. @throws Ended */
  openOnce(node: number, flags: number): bigint | null {
    const { nodes, daemon } = this.translator
    const body = Buffer.alloc(8)
    body.writeUInt32LE((flags & ~(LEFT_OUT | openFlags.O_APPEND)) >>> 0)
    const size = daemon.ask('OPEN', nodes.daemonLow[node] ?? 0, nodes.daemonHigh[node] ?? 0, body)
    return size >= OUT_HEADER_SIZE + 8 ? daemon.answer.getBigUint64(OUT_HEADER_SIZE, true) : null
  }

  closeOnce(node: number, fh: bigint): void {
    const { nodes, daemon } = this.translator
    const body = Buffer.alloc(releaseIn.$size)
    body.writeBigUInt64LE(fh)
    daemon.ask('RELEASE', nodes.daemonLow[node] ?? 0, nodes.daemonHigh[node] ?? 0, body)
  }

  /** Closes what the kernel did not take, when the daemon may be asked. */
  releaseLater(fhLow: number, fhHigh: number, low: number, high: number, isDirectory: boolean): void {
    const body = Buffer.alloc(releaseIn.$size)
    body.writeUInt32LE(fhLow, 0)
    body.writeUInt32LE(fhHigh, 4)
    this.later.push({ node: { low, high }, body, isDirectory })
  }

  doLate(): void {
    for (let next = this.later.pop(); next; next = this.later.pop())
      this.translator.daemon.ask(next.isDirectory ? 'RELEASEDIR' : 'RELEASE', next.node.low, next.node.high, next.body)
  }
}

function candidates(shape: Shape, flags: number, isSecond: boolean): number[] {
  if (flags < 0) {
    const ways = isSecond && shape.rule.secondWrites ? (['both', 'write'] as const) : (shape.rule.reopen ?? ['both'])
    return ways.map((way) => accessFlags[way])
  }
  const own = flags & ~LEFT_OUT
  // What was readable when it was opened may be so no more; what the request needs comes first.
  return (own & O_ACCMODE) === accessFlags.both ? [own, (own & ~O_ACCMODE) | needed(shape)] : [own]
}

const needed = (shape: Shape): number => (shape.name === 'WRITE' ? accessFlags.write : accessFlags.read)
