// INTERRUPT names another request by its id, and what a daemon says of it has an id of its own: that, and one.
import { FUSE_UNIQUE_RESEND_HIGH } from '../../fuse/flags.js'
import { layout } from '../../fuse/layout.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import type { Translator } from './translator.js'

const inHeader = layout('fuse_in_header')
const outHeader = layout('fuse_out_header')
const EINTR = 4

/** Passed on only if the daemon has the request: one that is parked here ends here. */
export function interrupt(translator: Translator, length: number): void {
  const { wire, nodes, stale, pending } = translator
  const { view } = wire.request
  const [low, rawHigh] = [view.getUint32(IN_HEADER_SIZE, true), view.getUint32(IN_HEADER_SIZE + 4, true)]
  const high = rawHigh >= FUSE_UNIQUE_RESEND_HIGH ? rawHigh - FUSE_UNIQUE_RESEND_HIGH : rawHigh
  if (stale.unpark(low, rawHigh)) return translator.refuse(low, rawHigh, EINTR)
  if (pending.find(low, high) < 0) return
  view.setUint32(IN_HEADER_SIZE + 4, high, true)
  inHeader.unique.setHalves(view, 0, inHeader.unique.low(view, 0), high)
  const node = nodes.ofKernel(inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0))
  if (node >= 0) inHeader.nodeid.setHalves(view, 0, nodes.daemonLow[node] ?? 0, nodes.daemonHigh[node] ?? 0)
  wire.later('daemon', length)
}

/** A daemon says of an INTERRUPT that it does not know the request (EAGAIN) or no interrupts (ENOSYS). */
export function answerToInterrupt(translator: Translator, low: number, high: number, length: number): void {
  const { wire, pending } = translator
  const slot = pending.find(low - 1, high)
  if (slot < 0) return
  outHeader.unique.setHalves(wire.reply.view, 0, low, pending.kernelHigh(slot, high))
  wire.answer(wire.reply.address, length)
}
