// The door to native code: numbers, pointers, errors, and what a call costs.
import t from 'tap'
import { asyncSyscall, cstring, rawSyscall, writePointer } from '../../src/native/ffi.js'
import { syscall } from '../../src/native/syscall.js'

t.test('a call returns what the kernel returns, errors as negative errno', async (t) => {
  t.equal(rawSyscall('getpid'), process.pid)
  t.equal(rawSyscall('close', -1), -9)
  t.equal(rawSyscall('openat', -100, cstring('/no such file'), 0), -2)
  t.equal(rawSyscall('getpid'), process.pid, 'an errno of before is not taken for one of now')
})

t.test('numbers of 64 bits arrive whole, as number and as bigint', async (t) => {
  const fd = syscall('memfd_create', 'x', cstring('x'), 1)
  t.teardown(() => rawSyscall('close', fd))
  for (const offset of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 2 ** 32 + 5, 2 ** 52 + 1]) {
    t.equal(rawSyscall('lseek', fd, offset, 0), offset)
    t.equal(rawSyscall('lseek', fd, BigInt(offset), 0), offset)
  }
  t.equal(rawSyscall('lseek', fd, -1, 0), -22)
  t.equal(rawSyscall('lseek', fd, -1n, 0), -22)
})

t.test('a failed call throws what it was, why and about what', async (t) => {
  t.throws(() => syscall('close', 'fd 12345', 12345), {
    name: 'SyscallError',
    syscall: 'close',
    errno: 9,
    code: 'EBADF',
    subject: 'fd 12345',
    message: /^close fd 12345: bad file descriptor \(EBADF\)$/,
  })
})

t.test('a buffer is passed by its address, and a struct can point to another', async (t) => {
  const [text, vector] = [Buffer.from('through a pointer'), Buffer.alloc(16)]
  writePointer(vector, 0, text)
  vector.writeBigUInt64LE(BigInt(text.length), 8)
  const fd = syscall('memfd_create', 'x', cstring('x'), 1)
  t.teardown(() => rawSyscall('close', fd))
  t.equal(rawSyscall('write', fd, text, text.length), text.length)
  const back = Buffer.alloc(text.length)
  t.equal(rawSyscall('pread64', fd, back, back.length, 0), text.length)
  t.equal(back.toString(), text.toString())
})

t.test('a name with a NUL byte is refused, since the kernel would cut it there', async (t) => {
  t.throws(() => cstring('a\0b'), TypeError)
  t.same([...cstring('ab')], [97, 98, 0])
})

t.test('a call on another thread lets this one go on', async (t) => {
  const event = syscall('eventfd2', 'an event', 0, 0)
  t.teardown(() => rawSyscall('close', event))
  // It waits for what only this thread will write.
  const read = asyncSyscall('read', event, Buffer.alloc(8), 8)
  setImmediate(() => rawSyscall('write', event, Buffer.from(BigUint64Array.of(1n).buffer), 8))
  t.equal(await read, 8)
  t.equal(await asyncSyscall('close', -1), -1)
})

t.test('a call costs microseconds, not tens of them', async (t) => {
  const calls = 100_000
  const start = performance.now()
  for (let i = 0; i < calls; i++) rawSyscall('getpid')
  const each = ((performance.now() - start) * 1000) / calls
  t.ok(each < 10, `${each.toFixed(2)} us`)
})

t.test('a call with a buffer leaves nothing behind', async (t) => {
  const buffer = Buffer.alloc(64)
  const call = (): void => void rawSyscall('lseek', -1, buffer)
  for (let i = 0; i < 50_000; i++) call()
  const before = process.memoryUsage.rss()
  for (let i = 0; i < 300_000; i++) call()
  const grown = (process.memoryUsage.rss() - before) / 1e6
  t.ok(grown < 20, `${grown.toFixed(1)} MB`)
})
