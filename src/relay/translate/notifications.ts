// Notifications: what a daemon tells the kernel unasked, about nodeids of its own. One becomes as many as the kernel has
// ids for that file, and none where it has none.
import { layout, sizeOf } from '../../fuse/layout.js'
import { OUT_HEADER_SIZE } from '../../fuse/message.js'
import { type NotifyRow, notifyCodes } from '../../fuse/opcodes.js'
import type { Nodes } from '../ids/nodes.js'

interface Shape {
  readonly least: number
  readonly nodes: readonly number[]
}

/** Those whose effect is the relay's own business, or that carry a list of ids, are not here: they are dropped. */
const shapes = new Map<number, Shape>()
const kept = ['POLL', 'INVAL_INODE', 'INVAL_ENTRY', 'STORE', 'RETRIEVE', 'DELETE'] as const
for (const name of kept) {
  const row: NotifyRow = notifyCodes[`FUSE_NOTIFY_${name}`]
  if (row.out === null) continue
  const fields = layout(row.out) as unknown as Record<string, { readonly offset?: number }>
  shapes.set(row.number, {
    least: OUT_HEADER_SIZE + sizeOf(row.out),
    nodes: row.nodes.map((field) => OUT_HEADER_SIZE + (fields[field]?.offset ?? 0)),
  })
}

/** The notifications to write to the channel in place of the one of `length` bytes in `view`. */
export function translateNotification(nodes: Nodes, view: DataView, length: number): Buffer[] {
  const shape = shapes.get(view.getInt32(4, true))
  if (!shape || length < shape.least) return []
  let messages = [Buffer.from(new Uint8Array(view.buffer, view.byteOffset, length))]
  for (const at of shape.nodes) {
    const slots: number[] = []
    const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    for (let slot = nodes.ofDaemon(low, high); slot >= 0; slot = nodes.nextOf(slot)) slots.push(slot)
    messages = slots.flatMap((slot) =>
      messages.map((message) => {
        const copy = Buffer.from(message)
        copy.writeUInt32LE(nodes.kernelLow[slot] ?? 0, at)
        copy.writeUInt32LE(nodes.kernelHigh[slot] ?? 0, at + 4)
        return copy
      }),
    )
  }
  return messages
}
