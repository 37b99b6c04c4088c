// The names that a request carries; and how the daemon comes to know those that it is to take away. The kernel has looked up
// every name before it removes or moves it, but it may have done so in an earlier life. A daemon relies on that: fuse-overlayfs
// frees a file twice that is unlinked and that nobody has looked up.
import { layout } from '../fuse/layout.js'
import { type OpcodeName, opcodes } from '../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../fuse/request.js'
import type { Found } from './daemon.js'
import type { Translator } from './translator.js'

const header = layout('fuse_in_header')
const setxattrIn = layout('fuse_setxattr_in')

/** Opcodes whose names must be looked up before. */
const taking = new Set<OpcodeName>(['UNLINK', 'RMDIR', 'RENAME', 'RENAME2'])

/**
 * Looks up in this life what the request in `wire.request`, which is in the daemon's terms, takes away.
 * @param node the slot of the folder
 * @returns what is to be forgotten once the request is answered. @throws Ended
 */
export function lookUpTaken(translator: Translator, opcode: OpcodeName, length: number, node: number): Found[] {
  if (!taking.has(opcode)) return none
  const { nodes, daemon, stale, wire } = translator
  const { names } = namesOf(translator, opcode, length)
  const { view } = wire.request
  const found: Found[] = []
  for (const [i, name] of names.entries()) {
    // Both renames begin with the folder of the second name.
    const low = i === 0 ? nodes.daemonLow[node] : view.getUint32(IN_HEADER_SIZE, true)
    const high = i === 0 ? nodes.daemonHigh[node] : view.getUint32(IN_HEADER_SIZE + 4, true)
    const each = daemon.lookup(low ?? 0, high ?? 0, name)
    if (each === null || typeof each === 'number') continue
    found.push(each)
    // The first name of two is only moved.
    if (i === names.length - 1) stale.unnamed(each.low, each.high)
  }
  return found
}

const none: Found[] = []

/** The names of a request, copied, and where the rest begins. */
export function namesOf(translator: Translator, opcode: OpcodeName, length: number): { names: Buffer[]; tail: number } {
  const { bytes, view } = translator.wire.request
  const row = opcodes[opcode]
  const end = length - 8 * header.total_extlen.get(view, 0)
  let at = IN_HEADER_SIZE + (row.in === null ? 0 : layout(row.in).$size)
  if (opcode === 'SETXATTR') {
    // Which of its two forms it is depends on what INIT agreed on; only one of them makes the lengths meet.
    const short = IN_HEADER_SIZE + setxattrIn.setxattr_flags.offset
    const value = view.getUint32(IN_HEADER_SIZE, true)
    if (bytes.indexOf(0, short) + 1 + value === end) at = short
  }
  const names: Buffer[] = []
  for (let i = 0; i < row.names; i++) {
    const nul = bytes.indexOf(0, at)
    if (nul < 0 || nul >= end) break
    names.push(Buffer.from(bytes.subarray(at, nul)))
    at = nul + 1
  }
  return { names, tail: at }
}
