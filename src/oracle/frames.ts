// Messages through a pipe: the length in four bytes, then what v8 makes of the value. Both ends are of one program.
import { readSync, writeSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'

export function frame(value: unknown): Buffer {
  const body = serialize(value)
  const head = Buffer.alloc(4)
  head.writeUInt32LE(body.length)
  return Buffer.concat([head, body])
}

/** Puts together what arrives in pieces. */
export class Frames {
  private rest: Buffer = Buffer.alloc(0)

  /** The values that are whole with this piece. */
  take(piece: Buffer): unknown[] {
    this.rest = this.rest.length === 0 ? piece : Buffer.concat([this.rest, piece])
    const values: unknown[] = []
    while (this.rest.length >= 4) {
      const end = 4 + this.rest.readUInt32LE()
      if (this.rest.length < end) break
      values.push(deserialize(this.rest.subarray(4, end)))
      this.rest = this.rest.subarray(end)
    }
    return values
  }
}

/** Waits for the next value on a descriptor; undefined at its end. */
export function receive(fd: number): unknown {
  const head = readWhole(fd, 4)
  const body = head && readWhole(fd, head.readUInt32LE())
  return body && deserialize(body)
}

export function send(fd: number, value: unknown): void {
  const bytes = frame(value)
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
}

function readWhole(fd: number, size: number): Buffer | undefined {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; ) {
    const count = readSync(fd, bytes, at, size - at, null)
    if (count === 0) return undefined
    at += count
  }
  return bytes
}
