// Executable files in memory.
import { spawnSync } from 'node:child_process'
import { readFileSync, readlinkSync, writeSync } from 'node:fs'
import t from 'tap'
import { executable } from '../../src/elf/executable.js'
import { imageOf } from '../../src/elf/image.js'
import { arch } from '../../src/native/arch.js'
import { closeFd } from '../../src/native/descriptor.js'
import { executableMemfd } from '../../src/native/memfd.js'
import { syscall } from '../../src/native/syscall.js'

t.test('a program in memory runs, shows its name, is CLOEXEC and cannot be changed', async (t) => {
  const fd = executableMemfd('a name', imageOf('prober', arch))
  t.teardown(() => closeFd(fd))
  t.equal(readlinkSync(`/proc/self/fd/${fd}`), '/memfd:a name (deleted)')
  t.equal(spawnSync(`/proc/${process.pid}/fd/${fd}`, ['/']).status, 0)
  t.equal(syscall('fcntl', 'the memfd', fd, 1 /* F_GETFD */), 1 /* FD_CLOEXEC */)
  t.throws(() => writeSync(fd, 'x', 0), { code: 'EPERM' })
  t.throws(() => syscall('ftruncate', 'the memfd', fd, 0), { code: 'EPERM' })
})

t.test('a name that the kernel would cut is refused', async (t) => {
  t.throws(() => executableMemfd('NUL \0', Buffer.alloc(1)), TypeError)
})

t.test('each of our programs is made once', async (t) => {
  const path = executable('launcher')
  t.equal(executable('launcher'), path)
  t.not(executable('holder'), path)
  t.ok(readFileSync(path).equals(imageOf('launcher', arch)))
})
