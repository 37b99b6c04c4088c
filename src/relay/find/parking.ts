// Requests that wait: for a nodeid of an earlier life to be found, or for the end of the reservation.
import { layout } from '../../fuse/layout.js'
import { isMove } from '../resent/moves.js'
import { shapeOf } from '../translate/shapes.js'
import { keyAt } from './query.js'

const header = layout('fuse_in_header')

interface Parked {
  readonly bytes: Buffer
  /** The nodeid it waits for; null if it waits for the end of the reservation. */
  readonly key: string | null
}

export class Parking {
  private parked: Parked[] = []
  /** Those that may go on. */
  private readonly ready: Buffer[] = []

  get count(): number {
    return this.parked.length + this.ready.length
  }

  get hasReady(): boolean {
    return this.ready.length > 0
  }

  get hasReadyMove(): boolean {
    return this.ready.some(isMove)
  }

  /** True if a move waits. */
  get hasMove(): boolean {
    return this.parked.some(({ bytes }) => isMove(bytes))
  }

  add(bytes: Buffer, key: string | null): void {
    this.parked.push({ bytes, key })
  }

  /** All that wait, for whatever it is. */
  all(): Buffer[] {
    return this.parked.map(({ bytes }) => bytes)
  }

  /** Those that wait for this nodeid. */
  waitingFor(key: string): Buffer[] {
    return this.parked.filter((each) => each.key === key).map(({ bytes }) => bytes)
  }

  /** Keeps only those that this is true of. */
  keep(is: (request: Buffer) => boolean): void {
    this.parked = this.parked.filter(({ bytes }) => is(bytes))
  }

  /** Ends the wait of a request that is interrupted. False if it is not here. */
  take(uniqueLow: number, uniqueHigh: number): boolean {
    const { offset } = header.unique
    const at = this.parked.findIndex(
      ({ bytes }) => bytes.readUInt32LE(offset) === uniqueLow && bytes.readUInt32LE(offset + 4) === uniqueHigh,
    )
    if (at >= 0) this.parked.splice(at, 1)
    return at >= 0
  }

  /** The next move may go on, unless it waits for a nodeid that is asked for later. False if there is none. */
  letMove(isLater: (key: string) => boolean): boolean {
    const at = this.parked.findIndex(({ key, bytes }) => isMove(bytes) && (key === null || !isLater(key)))
    const [parked] = at < 0 ? [] : this.parked.splice(at, 1)
    if (parked) this.ready.push(parked.bytes)
    return parked !== undefined
  }

  /** All may go on that wait for this. */
  let(key: string | null): void {
    const rest: Parked[] = []
    for (const each of this.parked) {
      if (each.key === key) this.ready.push(each.bytes)
      else rest.push(each)
    }
    this.parked = rest
  }

  /** What waits for the end of the reservation and need not. */
  letEarly(): void {
    const rest: Parked[] = []
    for (const each of this.parked) {
      if (each.key === null && isEarly(each.bytes)) this.ready.push(each.bytes)
      else rest.push(each)
    }
    this.parked = rest
  }

  /** This one may go on. */
  goOn(request: Buffer): void {
    this.ready.push(request)
  }

  next(): Buffer | undefined {
    return this.ready.shift()
  }

  /** The nodeids that those who wait are about. */
  nodes(): Map<string, { low: number; high: number }> {
    const nodes = new Map<string, { low: number; high: number }>()
    for (const { bytes } of this.parked) {
      const shape = shapeOf(bytes.readUInt32LE(header.opcode.offset))
      if (!shape.node || shape.rule.unopened || shape.name === 'NOTIFY_REPLY') continue
      for (const at of [header.nodeid.offset, ...shape.nodes])
        nodes.set(keyAt(bytes, at), { low: bytes.readUInt32LE(at), high: bytes.readUInt32LE(at + 4) })
    }
    return nodes
  }
}

/** True of a request that may go on before all is known, see rules.ts. */
const isEarly = (request: Buffer): boolean => shapeOf(request.readUInt32LE(header.opcode.offset)).rule.early === true

/** True of a request that is about something open. */
export function carriesHandle(request: Buffer): boolean {
  const shape = shapeOf(request.readUInt32LE(header.opcode.offset))
  return shape.handles.some(
    ({ flagsOffset, flag }) => flagsOffset === 0 || (request.readUInt32LE(flagsOffset) & flag) !== 0,
  )
}
