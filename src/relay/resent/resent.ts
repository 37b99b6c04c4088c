// Requests that an earlier life may have carried out before it died: settled as if done once. Each row says which error of
// the new life can mean that it was done already, and how to find out. While one is settled the kernel holds the folders'
// locks that it took for the request, so nobody on this mount has changed them since.

import { FUSE_UNIQUE_RESEND_HIGH } from '../../fuse/flags.js'
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { opcodes } from '../../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { openFlags } from '../../native/open-flags.js'
import type { Shape } from '../translate/shapes.js'
import type { Translator } from '../translate/translator.js'
import { createOnce, creations } from './creations.js'
import { isExchange } from './exchanges.js'
import {
  answerAs,
  answered,
  forget,
  lookup,
  type Resent,
  resent,
  type Settling,
  terminated,
  type Verdict,
  word,
} from './request.js'

const header = layout('fuse_in_header')
const outHeader = layout('fuse_out_header')
const writeIn = layout('fuse_write_in')
const ioctlIn = layout('fuse_ioctl_in')
const getxattrIn = layout('fuse_getxattr_in')

const EIO = 5
const ENOENT = 2
const EEXIST = 17
const ENODATA = 61

const rows: { readonly [Name in Shape['name']]?: Settling } = {
  ...creations,
  UNLINK: { was: removed },
  RMDIR: { was: removed },
  RENAME: { errors: [ENOENT], was: (request) => moved(request) },
  RENAME2: { errors: [ENOENT, EEXIST], was: (request) => moved(request) },
  SETXATTR: {
    errors: [EEXIST],
    was: (request) => {
      const value = request.view.getUint32(IN_HEADER_SIZE, true)
      const body = Buffer.alloc(getxattrIn.$size)
      body.writeUInt32LE(Math.max(value, 1))
      const { bytes } = request.translator.wire.request
      const wanted = Buffer.from(bytes.subarray(request.tail, request.tail + value))
      const size = request.translator.daemon.ask(
        'GETXATTR',
        request.low,
        request.high,
        body,
        terminated(request.names[0]),
      )
      return size >= OUT_HEADER_SIZE && answered(request, size).equals(wanted) ? 'done' : 'as the daemon says'
    },
  },
  REMOVEXATTR: { errors: [ENODATA], was: () => 'done' },
}

/**
 * Does what a resent request asks for, if that takes more than passing it on.
 * @returns false if it is to be passed on like any other
 */
export function settleResent(
  translator: Translator,
  shape: Shape,
  length: number,
  node: number,
  handle: number,
): boolean {
  if (shape.repeat === 'harmless' && shape.name !== 'WRITE') return false
  const { view, address } = translator.wire.request
  const [low, high] = [header.unique.low(view, 0), header.unique.high(view, 0)]
  const refuse = (errno: number): true => {
    translator.refuse(low, high + FUSE_UNIQUE_RESEND_HIGH, errno)
    return true
  }
  const report = (): void =>
    translator.surroundings.report('a resent request cannot be repeated', { opcode: shape.name })
  if (shape.name === 'WRITE') return appendOnce(translator, length, node, handle, low, high)
  if (shape.repeat === 'unknown') {
    if (shape.name === 'IOCTL' && onlyReads(ioctlIn.cmd.get(view, IN_HEADER_SIZE))) return false
    report()
    return refuse(EIO)
  }
  if (isExchange(view)) {
    const outcome = exchanged(resent(translator, shape, length, node, handle), low)
    if (outcome === 'unknown') report()
    if (outcome !== 'not done') return refuse(outcome === 'done' ? 0 : EIO)
  }
  if (shape.name === 'CREATE') return createOnce(translator, shape, length, node, low, high)
  const row = rows[shape.name]
  if (!row) return false
  const number = header.opcode.get(view, 0)
  translator.pending.add(low, high, number, true, node, 0)
  const result = translator.daemon.transact(address, length, low, high)
  if (result >= 0) {
    translator.fromDaemon(result)
    return true
  }
  const verdict =
    row.errors?.includes(-result) !== false ? row.was(resent(translator, shape, length, node, handle), -result) : null
  if (verdict === 'broken') {
    translator.surroundings.report('a daemon has left half a folder')
    translator.pending.take(low, high)
    return refuse(EIO)
  }
  if (verdict === 'entry') {
    answerAs(translator, low, high, outHeader.len.get(translator.wire.reply.view, 0))
    return true
  }
  const last = verdict === 'again' ? translator.daemon.transact(address, length, low, high) : result
  if (last >= 0) {
    translator.fromDaemon(last)
    return true
  }
  translator.pending.take(low, high)
  return refuse(verdict === 'done' ? 0 : -last)
}

/** Ioctls that ask and change nothing, which every program that opens a file may send: TCGETS, FIONREAD. */
const asking = new Set([0x5401, 0x541b])
const IOC_DIRECTION_SHIFT = 30
const IOC_READ = 2
/** Source: include/uapi/asm-generic/ioctl.h */
const onlyReads = (command: number): boolean => asking.has(command) || command >>> IOC_DIRECTION_SHIFT === IOC_READ

/** Linux appends to a file that is open with O_APPEND whatever the offset: the data is written through another handle. */
function appendOnce(
  translator: Translator,
  length: number,
  node: number,
  handle: number,
  low: number,
  high: number,
): boolean {
  const { view, address } = translator.wire.request
  const flags = length >= IN_HEADER_SIZE + writeIn.$size ? writeIn.flags.get(view, IN_HEADER_SIZE) : 0
  if ((flags & openFlags.O_APPEND) === 0 || handle < 0) return false
  const fh = translator.reopening.openOnce(node, flags)
  if (fh === null) return false
  writeIn.fh.set(view, IN_HEADER_SIZE, fh)
  writeIn.flags.set(view, IN_HEADER_SIZE, flags & ~openFlags.O_APPEND)
  translator.pending.add(low, high, opcodes.WRITE.number, true, node, 0)
  if (!translator.pieces.takeWrite(low, high, length)) {
    const result = translator.daemon.transact(address, length, low, high)
    translator.fromDaemon(result >= 0 ? result : OUT_HEADER_SIZE)
  }
  translator.reopening.closeOnce(node, fh)
  return true
}

/** What removes a name: done if there is none. If there is one and the daemon does not find it, it is half removed. */
function removed({ translator, low, high, names: [name] }: Resent, errno: number): Verdict {
  const found = name === undefined ? 0 : translator.daemon.lookup(low, high, name)
  if (found === null) return 'done'
  if (typeof found === 'number') return 'as the daemon says'
  translator.daemon.forget(found.low, found.high, 1)
  return errno === ENOENT ? 'broken' : 'as the daemon says'
}

/** A rename: done if the source is gone and the target there. */
function moved(request: Resent): Verdict {
  const source = lookup(request, request.low, request.high, request.names[0])
  if (source) {
    forget(request, source)
    return 'as the daemon says'
  }
  const target = lookup(request, word(request, 0), word(request, 4), request.names[1])
  if (!target) return 'as the daemon says'
  forget(request, target)
  return 'done'
}

/** Whether an exchange was done. */
function exchanged(request: Resent, id: number): 'done' | 'not done' | 'unknown' {
  const { low, high, names } = request
  const folders = [
    { low, high },
    { low: word(request, 0), high: word(request, 4) },
  ]
  const found = folders.map((folder, i) => lookup(request, folder.low, folder.high, names[i]))
  for (const each of found) if (each) forget(request, each)
  return request.translator.exchanges.outcome(id, found)
}
