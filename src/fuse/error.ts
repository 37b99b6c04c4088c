// What bytes from outside that are no FUSE message throw: a code and the facts, so that a caller can answer the one
// request (if its header could be read) and go on.

export type ProtocolErrorCode =
  /** Fewer bytes than a header. */
  | 'SHORT_HEADER'
  /** The header's length is not that of the message. */
  | 'LENGTH_MISMATCH'
  | 'UNKNOWN_OPCODE'
  /** The fixed part, a name or the tail ends beyond the message. */
  | 'TRUNCATED'
  /** A name without its NUL, or an empty one. */
  | 'BAD_NAME'

export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'

  constructor(
    readonly code: ProtocolErrorCode,
    readonly facts: { readonly opcode?: number; readonly expected?: number; readonly actual?: number },
  ) {
    super(
      `${code} in a FUSE message: ${Object.entries(facts)
        .map(([fact, value]) => `${fact} ${value}`)
        .join(', ')}`,
    )
  }
}
