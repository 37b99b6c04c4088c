// A nodeid of an earlier life whose path is asked for.
import { layout } from '../../fuse/layout.js'

const header = layout('fuse_in_header')

export interface Query {
  readonly low: number
  readonly high: number
  /** Generations that it may have, in the order in which they are tried. */
  readonly generations: number[]
  tried: number
  /** True once the first numbers are among them. */
  isCounted?: boolean
  /** True if the kernel was seen not to hold it, whatever its generation. */
  isNotHeld?: boolean
  /** How many moves were settled when it was not found. */
  missedAt: number
  /**
   * Its name is waited for, see names-under-way.ts: while nobody else goes on, then while all others do; and it has been.
   */
  awaited?: 'alone' | 'among others' | 'over'
  /** True if the wait came to its end while it was asked for. */
  isLate?: boolean
  /** Nobody can use it by now: it need not be told if it is not there. */
  isOptional?: boolean
  /** Where it is known without the resolver. */
  readonly path: Buffer | null
}

export const queryFor = (
  low: number,
  high: number,
  generations: readonly number[],
  path: Buffer | null = null,
): Query => ({ low, high, generations: [...generations], tried: 0, missedAt: -1, path })

/** It is asked for again from the beginning. */
export function restart(query: Query): void {
  query.tried = 0
  query.isNotHeld = false
}

/** The generation that was tried last. */
export const generationOf = ({ generations, tried }: Query): number => generations[tried - 1] ?? 0

/** A nodeid as the key of a map. */
export const keyOf = (low: number, high: number): string => `${high}:${low}`

/** The nodeid that a key stands for. */
export function idOf(key: string): { low: number; high: number } {
  const [high = 0, low = 0] = key.split(':').map(Number)
  return { low, high }
}

/** The nodeid at this place of a message. */
export const keyAt = (message: Buffer, at: number): string =>
  keyOf(message.readUInt32LE(at), message.readUInt32LE(at + 4))

/** The halves of a request's own id. */
export const uniqueOf = (request: Buffer): [low: number, high: number] => [
  request.readUInt32LE(header.unique.offset),
  request.readUInt32LE(header.unique.offset + 4),
]

/** The nodeid that a request is about. */
export const keyOfNode = (request: Buffer): string => keyAt(request, header.nodeid.offset)
