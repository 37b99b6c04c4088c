// The kernel forgets: what this life gave out, the daemon is told; what earlier lives gave out is no daemon's any more.
import { layout } from '../../fuse/layout.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import type { Translator } from '../translate/translator.js'

const inHeader = layout('fuse_in_header')
const forgetOne = layout('fuse_forget_one')

/** FORGET. */
export function forget(translator: Translator, length: number): void {
  const { wire, nodes, stale } = translator
  const { view } = wire.request
  const [low, high] = [inHeader.nodeid.low(view, 0), inHeader.nodeid.high(view, 0)]
  const slot = nodes.ofKernel(low, high)
  if (slot < 0) return stale.forgotten(low, high)
  const [nodeLow, nodeHigh] = [nodes.daemonLow[slot] ?? 0, nodes.daemonHigh[slot] ?? 0]
  const count = nodes.forgetSlot(slot, wideAt(view, IN_HEADER_SIZE))
  stale.left(low, high)
  if (count <= 0) return
  inHeader.nodeid.setHalves(view, 0, nodeLow, nodeHigh)
  setWide(view, IN_HEADER_SIZE, count)
  wire.later('daemon', length)
}

/** BATCH_FORGET. Those that this life gave out stay in the message, the others are taken out of it. */
export function forgetMany(translator: Translator, length: number): void {
  const { wire, nodes, stale } = translator
  const { view } = wire.request
  const first = IN_HEADER_SIZE + layout('fuse_batch_forget_in').$size
  const count = Math.min(view.getUint32(IN_HEADER_SIZE, true), Math.floor((length - first) / forgetOne.$size))
  let to = first
  for (let i = 0, at = first; i < count; i++, at += forgetOne.$size) {
    const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    const slot = nodes.ofKernel(low, high)
    if (slot < 0) {
      stale.forgotten(low, high)
      continue
    }
    const [nodeLow, nodeHigh] = [nodes.daemonLow[slot] ?? 0, nodes.daemonHigh[slot] ?? 0]
    const forgotten = nodes.forgetSlot(slot, wideAt(view, at + 8))
    stale.left(low, high)
    if (forgotten <= 0) continue
    forgetOne.nodeid.setHalves(view, to, nodeLow, nodeHigh)
    setWide(view, to + 8, forgotten)
    to += forgetOne.$size
  }
  if (to === first) return
  view.setUint32(IN_HEADER_SIZE, (to - first) / forgetOne.$size, true)
  inHeader.len.set(view, 0, to)
  wire.later('daemon', to)
}

const wideAt = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true)

function setWide(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
}
