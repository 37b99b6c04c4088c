// Processes by file descriptor.
import { openSync, readlinkSync } from 'node:fs'
import { constants } from 'node:os'
import t from 'tap'
import { closeFd } from '../../src/native/descriptor.js'
import { pidfdGetfd, pidfdOpen, pidfdSendSignal } from '../../src/native/pidfd.js'
import { readable } from '../../src/native/socket.js'
import { syscall } from '../../src/native/syscall.js'
import type { Fd, Pid, RemoteFd } from '../../src/native/types.js'
import { Child } from '../fixtures/child.js'

const { SIGKILL, SIGTERM } = constants.signals
const CLOEXEC = [1 /* F_GETFD */, 1 /* FD_CLOEXEC */] as const

t.test('an open file of another process is copied, CLOEXEC, and the process goes on', async (t) => {
  const file = openSync('/dev/zero', 'r')
  const child = new Child(['cat'], { stdio: ['pipe', 'pipe', 'pipe', file] })
  t.teardown(() => child.kill())
  const pidfd = pidfdOpen(child.pid as Pid)
  t.teardown(() => closeFd(pidfd))
  t.equal(syscall('fcntl', 'the pidfd', pidfd, CLOEXEC[0]), CLOEXEC[1])
  const copy = pidfdGetfd(pidfd, 3 as RemoteFd)
  t.teardown(() => closeFd(copy))
  t.equal(readlinkSync(`/proc/self/fd/${copy}`), '/dev/zero')
  t.equal(syscall('fcntl', 'the copy', copy, CLOEXEC[0]), CLOEXEC[1])
  child.process.stdin?.end('still here')
  await child.says(/still here/)
})

t.test('what is not there is told apart', async (t) => {
  const child = new Child(['cat'])
  t.teardown(() => child.kill())
  const pidfd = pidfdOpen(child.pid as Pid)
  t.teardown(() => closeFd(pidfd))
  t.throws(() => pidfdGetfd(pidfd, 99 as RemoteFd), { syscall: 'pidfd_getfd', code: 'EBADF' })
  t.throws(() => pidfdOpen(0x7ffffff0 as Pid), { syscall: 'pidfd_open', code: 'ESRCH', subject: 'pid 2147483632' })
  t.throws(() => pidfdGetfd(-1 as Fd, 0 as RemoteFd), { code: 'EBADF' })
})

t.test('a signal reaches the process, and nobody once it has ended', async (t) => {
  const child = new Child(['cat'])
  t.teardown(() => child.kill())
  const pidfd = pidfdOpen(child.pid as Pid)
  t.teardown(() => closeFd(pidfd))
  t.same(readable([pidfd], 0), [], 'it lives')
  t.throws(() => pidfdSendSignal(pidfd, 999), { code: 'EINVAL' })
  t.equal(pidfdSendSignal(pidfd, 0), true)
  t.equal(pidfdSendSignal(pidfd, SIGTERM), true)
  t.same(readable([pidfd], 10_000), [pidfd], 'its end is told, also before it is reaped')
  t.match(await child.end(), { signal: 'SIGTERM' })
  t.equal(pidfdSendSignal(pidfd, SIGKILL), false)
})
