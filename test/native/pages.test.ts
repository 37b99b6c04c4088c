// Large blocks of memory that are lent.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { closeFd } from '../../src/native/descriptor.js'
import { rawSyscall } from '../../src/native/ffi.js'
import { borrowPages, returnPages } from '../../src/native/pages.js'
import { socketpair } from '../../src/native/socket.js'

const SIZE = 64 << 20
const residentKb = (): number => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])

t.test('a block has its bytes at its address', async (t) => {
  const block = borrowPages(4096)
  block.bytes.write('as the kernel sees it')
  const other = borrowPages(4096)
  t.not(other.address, block.address)
  const [to, from] = socketpair('seqpacket')
  t.teardown(() => [to, from].forEach(closeFd))
  t.equal(rawSyscall('write', to, block.address, 21), 21)
  t.equal(rawSyscall('read', from, other.address, 4096), 21)
  t.equal(other.bytes.toString('utf8', 0, 21), 'as the kernel sees it')
  t.equal(other.view.getUint8(0), 'a'.charCodeAt(0))
  for (const each of [block, other]) returnPages(each)
})

t.test('one that was given back takes no memory, and is lent again, empty', async (t) => {
  const block = borrowPages(SIZE)
  block.bytes.fill(1)
  const full = residentKb()
  returnPages(block)
  t.ok(full - residentKb() > SIZE / 1024 / 2, 'its pages are gone')
  const again = borrowPages(SIZE)
  t.equal(again.address, block.address)
  t.equal(again.bytes[SIZE - 1], 0)
  returnPages(again)
})
