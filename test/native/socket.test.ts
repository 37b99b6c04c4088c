// Messages and open files over socket pairs.
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import t, { type Test } from 'tap'
import { closeFd } from '../../src/native/descriptor.js'
import { readable, receive, receiveNow, sendMessage, socketpair } from '../../src/native/socket.js'
import { syscall } from '../../src/native/syscall.js'
import type { Fd } from '../../src/native/types.js'

const F_GETFD = 1
const FD_CLOEXEC = 1
const isCloexec = (fd: Fd): boolean => (syscall('fcntl', `fd ${fd}`, fd, F_GETFD) & FD_CLOEXEC) !== 0
const openFds = (): string[] => readdirSync('/proc/self/fd')

function pair(t: Test, type: 'dgram' | 'seqpacket'): [Fd, Fd] {
  const both = socketpair(type)
  t.teardown(() => both.forEach(closeFd))
  return both
}

for (const type of ['dgram', 'seqpacket'] as const) {
  t.test(`a ${type} pair is CLOEXEC and keeps the borders of messages, both ways`, async (t) => {
    const [a, b] = pair(t, type)
    t.ok(isCloexec(a) && isCloexec(b))
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const text of ['one', 'two', 'x'.repeat(60_000)]) sendMessage(from, Buffer.from(text))
      for (const size of [3, 3, 60_000]) t.equal(receive(to, 1000)?.bytes.length, size)
      t.equal(receiveNow(to), null)
    }
  })

  t.test(`an open file that came over a ${type} pair is the same one, and CLOEXEC`, async (t) => {
    const [a, b] = pair(t, type)
    const file = openSync('/proc/self/stat', 'r') as Fd
    t.teardown(() => closeSync(file))
    readSync(file, Buffer.alloc(10))
    sendMessage(a, Buffer.from('take this'), [file, file])
    const received = receive(b, 1000)
    t.equal(received?.bytes.toString(), 'take this')
    t.equal(received?.fds.length, 2)
    for (const fd of received?.fds ?? []) {
      t.teardown(() => closeFd(fd))
      t.ok(isCloexec(fd))
      t.equal(fstatSync(fd).ino, fstatSync(file).ino)
      t.match(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'), /^pos:\t10$/m, 'it shares the position')
    }
  })
}

t.test('waiting for a message ends at the deadline', async (t) => {
  const [a] = pair(t, 'dgram')
  const start = performance.now()
  t.equal(receive(a, 50), null)
  const took = performance.now() - start
  t.ok(took >= 49 && took < 1000, `${took} ms`)
})

t.test('a message that is cut is refused, and the open files it brought are closed', async (t) => {
  const [a, b] = pair(t, 'seqpacket')
  const SO_SNDBUF = 7
  const size = Buffer.alloc(4)
  size.writeInt32LE(1 << 18)
  syscall('setsockopt', 'SO_SNDBUF', a, 1, SO_SNDBUF, size, 4)
  const before = openFds().length
  sendMessage(a, Buffer.alloc((1 << 16) + 1), [b])
  t.throws(() => receive(b, 1000), { syscall: 'recvmsg', code: 'EMSGSIZE' })
  t.equal(openFds().length, before)
  sendMessage(a, Buffer.from('next'))
  t.equal(receive(b, 1000)?.bytes.toString(), 'next', 'the next one comes through')
})

t.test('open files for which there is no room are refused, not lost in silence', async (t) => {
  const [a, b] = pair(t, 'dgram')
  const RLIMIT_NOFILE = 7
  const old = Buffer.alloc(16)
  syscall('prlimit64', 'self', 0, RLIMIT_NOFILE, 0, old)
  const low = Buffer.from(old)
  low.writeBigUInt64LE(BigInt(Math.max(...openFds().map(Number)) + 1), 0)
  sendMessage(
    a,
    Buffer.from('no room'),
    Array.from({ length: 250 }, () => a),
  )
  syscall('prlimit64', 'self', 0, RLIMIT_NOFILE, low, 0)
  try {
    t.throws(() => receive(b, 1000), { syscall: 'recvmsg', code: 'EMSGSIZE' })
  } finally {
    syscall('prlimit64', 'self', 0, RLIMIT_NOFILE, old, 0)
  }
})

t.test('the end of the other side is told', async (t) => {
  const [a, b] = socketpair('seqpacket')
  t.teardown(() => closeFd(a))
  closeFd(b)
  t.same(readable([a], 1000), [a])
  t.equal(receive(a, 1000)?.bytes.length, 0)
  t.throws(() => sendMessage(a, Buffer.from('x')), { code: 'EPIPE' })
})

t.test('a full queue is told, not waited for', async (t) => {
  const [a] = pair(t, 'dgram')
  t.throws(
    () => {
      for (let i = 0; i < 100_000; i++) sendMessage(a, Buffer.from('x'))
    },
    { code: 'EAGAIN' },
  )
})

t.test('only the fds that are ready are named', async (t) => {
  const [[a, b], [c, d]] = [pair(t, 'dgram'), pair(t, 'dgram')]
  t.same(readable([a, b, c, d], 0), [])
  sendMessage(c, Buffer.from('x'))
  t.same(readable([a, b, c, d], 1000), [d])
})
