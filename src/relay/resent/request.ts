// A request that was sent again, all of it in the daemon's terms, and what is asked of the daemon to settle it.
import { layout } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { namesOf } from '../translate/names.js'
import type { Shape } from '../translate/shapes.js'
import type { Translator } from '../translate/translator.js'
import type { Found } from '../wire/daemon.js'

const outHeader = layout('fuse_out_header')

/** A resent request: all of it already in the daemon's terms. */
export interface Resent {
  readonly translator: Translator
  readonly view: DataView
  readonly length: number
  /** The slot of the header's node, and its ids at the daemon. */
  readonly node: number
  readonly low: number
  readonly high: number
  readonly handle: number
  readonly names: readonly Buffer[]
  /** Where what follows the names begins. */
  readonly tail: number
}

/** What the kernel is told: `entry` is the answer to a LOOKUP, now in `wire.reply`; `again` is what the daemon says when asked once more. */
export type Verdict = 'done' | 'entry' | 'again' | 'broken' | 'as the daemon says'

export interface Settling {
  /** Errors that can mean that it was done before; without it, any: not every daemon can tell why something failed. */
  readonly errors?: readonly number[]
  readonly was: (request: Resent, errno: number) => Verdict
}

export function resent(translator: Translator, shape: Shape, length: number, node: number, handle: number): Resent {
  const { nodes, wire } = translator
  return {
    translator,
    view: wire.request.view,
    length,
    node,
    low: nodes.daemonLow[node] ?? 0,
    high: nodes.daemonHigh[node] ?? 0,
    handle,
    ...namesOf(translator, shape, length),
  }
}

export function lookup({ translator }: Resent, low: number, high: number, name: Buffer | undefined): Found | null {
  const found = name === undefined ? null : translator.daemon.lookup(low, high, name)
  return typeof found === 'number' ? null : found
}
export const forget = ({ translator }: Resent, { low, high }: Found): void => translator.daemon.forget(low, high, 1)
/** A word of the fixed part. */
export const word = ({ view }: Resent, at: number): number => view.getUint32(IN_HEADER_SIZE + at, true)
export const terminated = (name: Buffer | undefined): Buffer =>
  Buffer.concat([name ?? Buffer.alloc(0), Buffer.alloc(1)])
/** The body of the last answer. */
export const answered = ({ translator }: Resent, size: number): Buffer =>
  translator.wire.reply.bytes.subarray(OUT_HEADER_SIZE, size)

/** Gives the message in `wire.reply` as the answer to the kernel's request. */
export function answerAs(translator: Translator, low: number, high: number, length: number): void {
  const { view } = translator.wire.reply
  outHeader.len.set(view, 0, length)
  outHeader.error.set(view, 0, 0)
  outHeader.unique.setHalves(view, 0, low, high)
  translator.fromDaemon(length)
}
