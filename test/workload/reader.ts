// A file that is opened once and read for ever at random places, past the page cache (O_DIRECT) and through it; its size
// and inode must stay what they were.
import { closeSync, constants, fstatSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { failedWith } from '../../src/native/error.js'
import { folders, runWorkload } from './workload.js'

const BLOCK = 4096
const BLOCKS = 2048

/** Each block of the file names its own number, over and over. */
const blockOf = (n: number): Buffer => Buffer.alloc(BLOCK, `block ${String(n).padStart(9, '0')}\n`)

await runWorkload('reader', () => {
  const { mount, source } = folders()
  writeFileSync(join(source, 'reader.data'), Buffer.concat(Array.from({ length: BLOCKS }, (_, n) => blockOf(n))))
  const path = join(mount, 'reader.data')
  const direct = openSync(path, constants.O_RDONLY | constants.O_DIRECT)
  const cached = openSync(path, 'r')
  const { ino } = fstatSync(cached)
  const buffer = alignedBuffer(join(source, 'reader.data'))
  let turn = 0
  return {
    step() {
      const n = Math.floor(Math.random() * BLOCKS)
      const fd = turn++ % 8 === 0 ? cached : direct
      const count = readSync(fd, buffer, 0, BLOCK, n * BLOCK)
      if (count !== BLOCK) return `block ${n} has ${count} bytes`
      if (!buffer.equals(blockOf(n))) return `block ${n} reads ‘${buffer.toString('latin1', 0, 16)}’`
      const now = fstatSync(fd)
      if (now.size !== BLOCK * BLOCKS || now.ino !== ino) return `the file is now ${now.size} bytes of inode ${now.ino}`
      return undefined
    },
  }
})

/** O_DIRECT wants memory at an address that suits the disk, and Node does not tell addresses: try. */
function alignedBuffer(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECT)
  const room = Buffer.allocUnsafeSlow(2 * BLOCK)
  for (let offset = 0; offset < BLOCK; offset += 8) {
    const buffer = room.subarray(offset, offset + BLOCK)
    try {
      readSync(fd, buffer, 0, BLOCK, 0)
      closeSync(fd)
      return buffer
    } catch (error) {
      if (!failedWith(error, 'EINVAL')) throw error
    }
  }
  throw new Error('O_DIRECT reads nothing at any address')
}
