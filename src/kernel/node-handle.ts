// File handles of a FUSE mount, as name_to_handle_at(2) tells them: a nodeid and its generation, and on request those of the
// folder above. Source: fs/fuse/inode.c, fuse_encode_fh.
import { fileHandle } from '../native/file-handles.js'

/** Above the bits of the type, a handle with its folder has flags. */
export const FILEID_INO64_GEN = 0x81
const FILEID_INO64_GEN_PARENT = 0x82
const TYPE_BITS = 0xff
/** Bytes. */
export const NODE_SIZE = 12
const { handle_bytes, handle_type, f_handle } = fileHandle

export interface NodeHandle {
  readonly low: number
  readonly high: number
  readonly generation: number
}

/** What the handle of a file says. */
export interface FileHandle {
  readonly node: NodeHandle
  /** The folder above its name; null if it was not asked for. */
  readonly folder: NodeHandle | null
}

/** What is in a struct file_handle; null if it is none of a FUSE mount. */
export function readHandle(bytes: Buffer): FileHandle | null {
  const size = bytes.readUInt32LE(handle_bytes)
  const type = bytes.readUInt32LE(handle_type) & TYPE_BITS
  if (size < NODE_SIZE || (type !== FILEID_INO64_GEN && type !== FILEID_INO64_GEN_PARENT)) return null
  return { node: nodeAt(bytes, f_handle), folder: size < 2 * NODE_SIZE ? null : nodeAt(bytes, f_handle + NODE_SIZE) }
}

/** The three words of a nodeid. */
export const nodeAt = (bytes: Buffer, at: number): NodeHandle => ({
  high: bytes.readUInt32LE(at),
  low: bytes.readUInt32LE(at + 4),
  generation: bytes.readUInt32LE(at + 8),
})
