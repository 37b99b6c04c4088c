// The bytes of a write tell who wrote them: 16 bytes each, with process, step and their place in the write. What is read
// in a wrong place can be traced to the step that it belongs to.
//
//   p2s01317+0000a0\n

const UNIT = 16

/** `length` bytes of this step of this process. */
export function pattern(process: number, step: number, length: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(length / UNIT) * UNIT, 0x20)
  const tag = `p${process}s${String(step).padStart(5, '0')}+`
  const room = UNIT - 1 - tag.length
  for (let at = 0; at < length; at += UNIT) {
    const place = (at / UNIT).toString(16).padStart(room, '0').slice(-room)
    bytes.write(
      `${tag}${place}
`,
      at,
      'latin1',
    )
  }
  return bytes.subarray(0, length)
}
