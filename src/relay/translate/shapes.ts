// The opcode table as the relay needs it: by number, every nodeid and handle as an offset from the start of the message.

import { layout, sizeOf } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { type OpcodeName, type OpcodeRow, opcodes } from '../../fuse/opcodes.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { type StructName, structs } from '../../fuse/structs.js'
import { namesGiven, namesTaken } from '../ids/known-names.js'
import { type Rule, rules } from './rules.js'

export interface HandlePlace {
  readonly offset: number
  /** Where the word stands that says whether the handle counts, and its bit; 0 if it always counts. */
  readonly flagsOffset: number
  readonly flag: number
  /** Which of the request's nodeids it is open on: -1 the header's, else an index into `nodes`. */
  readonly node: number
}

export interface Shape {
  readonly name: OpcodeName | 'unknown'
  /** Bytes of the header and the fixed part, at least. */
  readonly least: number
  /** Bytes of request and reply, at most: beyond that stands what nobody knows how to translate. */
  readonly most: number
  readonly outMost: number
  readonly node: boolean
  readonly nodes: readonly number[]
  readonly handles: readonly HandlePlace[]
  readonly isDirectory: boolean
  /** Where open(2)'s flags stand in the request; 0 if it carries none. */
  readonly openFlags: number
  readonly outLeast: number
  readonly outNode: number
  readonly outHandle: number
  /** Where the inode number stands in the reply; 0 if there is none. */
  readonly outIno: number
  /** Where `generation` stands in the reply: behind outNode. */
  readonly dirents: 'fuse_dirent' | 'fuse_direntplus' | null
  readonly replies: boolean
  /** How many names it carries, one after the other from `nameAt`. */
  readonly names: number
  readonly nameAt: number
  /** It makes its first name known. */
  readonly givesName: boolean
  /** It takes its names away, or moves them. */
  readonly takesNames: boolean
  readonly isRename: boolean
  readonly repeat: OpcodeRow['repeat']
  readonly rule: Rule
}

/** By opcode number. */
const shapes: readonly (Shape | undefined)[] = compile()

/** What is not in the table, of a later kernel: the header's nodeid can be translated, if there is nothing else. */
const unknown: Shape = {
  name: 'unknown',
  least: IN_HEADER_SIZE,
  most: IN_HEADER_SIZE,
  outMost: OUT_HEADER_SIZE,
  node: true,
  nodes: [],
  handles: [],
  isDirectory: false,
  openFlags: 0,
  outLeast: OUT_HEADER_SIZE,
  outNode: 0,
  outHandle: 0,
  outIno: 0,
  dirents: null,
  replies: true,
  names: 0,
  nameAt: IN_HEADER_SIZE,
  givesName: false,
  takesNames: false,
  isRename: false,
  repeat: 'unknown',
  rule: {},
}

export const shapeOf = (opcode: number): Shape => shapes[opcode] ?? unknown

function compile(): (Shape | undefined)[] {
  const out: (Shape | undefined)[] = []
  for (const [name, row] of Object.entries(opcodes) as [OpcodeName, OpcodeRow][]) {
    const fieldOf = (field: string): number => IN_HEADER_SIZE + (row.in ? offsetOf(row.in, field) : 0)
    const perEntry = row.tail !== undefined && row.tail !== 'bytes'
    const tail = row.outTail === 'fuse_dirent' || row.outTail === 'fuse_direntplus' ? row.outTail : null
    out[row.number] = {
      name,
      least: IN_HEADER_SIZE + (row.compat ?? (row.in ? sizeOf(row.in) : 0)),
      most: Number.POSITIVE_INFINITY,
      outMost: Number.POSITIVE_INFINITY,
      node: row.node,
      nodes: perEntry ? [] : (row.nodes ?? []).map(fieldOf),
      handles: (row.handles ?? []).map(({ field, when }, i) => ({
        offset: fieldOf(field),
        flagsOffset: when ? fieldOf(when.field) : 0,
        flag: when?.bit ?? 0,
        node: i - 1,
      })),
      isDirectory: row.handle === 'directory',
      openFlags: row.in && row.handles && 'flags' in structs[row.in] && rules[name]?.openFlags ? fieldOf('flags') : 0,
      outLeast: OUT_HEADER_SIZE + row.out.reduce((size, each) => size + sizeOf(each), 0),
      outNode: row.outNodes && !tail ? outOffset(row.out, 'nodeid') : 0,
      outHandle: row.outHandles ? outOffset(row.out, 'fh') : 0,
      outIno: inoOffset(row.out),
      dirents: tail,
      replies: row.reply,
      names: row.names,
      nameAt: IN_HEADER_SIZE + (row.in ? sizeOf(row.in) : 0),
      givesName: namesGiven.has(name),
      takesNames: namesTaken.has(name),
      isRename: name === 'RENAME' || name === 'RENAME2',
      repeat: row.repeat,
      rule: rules[name] ?? {},
    }
  }
  return out
}

/** Where a field of one of the structs of a reply stands. */
function outOffset(parts: readonly StructName[], field: string): number {
  let at: number = OUT_HEADER_SIZE
  for (const part of parts) {
    if (field in structs[part]) return at + offsetOf(part, field)
    at += sizeOf(part)
  }
  return 0
}

function inoOffset(parts: readonly StructName[]): number {
  const [first] = parts
  if (first === 'fuse_entry_out' || first === 'fuse_attr_out') return OUT_HEADER_SIZE + layout(first).attr.ino.offset
  return first === 'fuse_statx_out' ? OUT_HEADER_SIZE + layout(first).stat.ino.offset : 0
}

function offsetOf(struct: StructName, field: string): number {
  const at = (layout(struct) as unknown as Record<string, { readonly offset?: number }>)[field]?.offset
  if (at === undefined) throw new Error(`${struct} has no field ${field}`)
  return at
}
