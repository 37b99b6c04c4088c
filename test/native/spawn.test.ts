// Processes made by posix_spawn: what they get, and what they do not.
import { openSync, readFileSync } from 'node:fs'
import t from 'tap'
import { type Child, startChild } from '../../src/kernel/children.js'
import { closeFd } from '../../src/native/descriptor.js'
import { setNonblocking } from '../../src/native/files.js'
import { receive, socketpair } from '../../src/native/socket.js'
import type { Spawn } from '../../src/native/spawn.js'
import type { Fd } from '../../src/native/types.js'

const DEADLINE = 10_000

/** Runs a shell command whose output comes back, and gives how it ended. */
async function run(script: string, options: Partial<Spawn> = {}): Promise<{ output: string; code: number | null }> {
  const [ours, theirs] = socketpair('stream')
  let child: Child
  try {
    const argv = ['sh', '-c', script]
    child = startChild({ program: '/bin/sh', argv, cwd: '/', env: {}, fds: [null, theirs, null], ...options })
  } finally {
    closeFd(theirs)
  }
  let output = ''
  for (let part = receive(ours, DEADLINE); part && part.bytes.length > 0; part = receive(ours, DEADLINE))
    output += part.bytes.toString()
  closeFd(ours)
  const { code } = await child.ended
  return { output, code }
}

t.test('it gets its argv, environment and folder, and its end is told', async (t) => {
  const env = { NAME: 'a b', EMPTY: '' }
  const argv = ['sh', '-c', 'echo "$0|$1|$NAME|$EMPTY|$HOME|$PWD"; exit 7', 'zero', 'one  two']
  const { output, code } = await run('', { argv, env, cwd: '/proc' })
  t.equal(output, 'zero|one  two|a b|||/proc\n')
  t.equal(code, 7)
})

t.test('it gets the descriptors that it is to have, and no other', async (t) => {
  const inheritable = openSync('/proc/self/stat', 'r')
  t.teardown(() => closeFd(inheritable as Fd))
  const { output } = await run('for fd in /proc/self/fd/*; do echo "$fd"; done')
  // The last one is the shell's, which reads the folder.
  const numbers = output
    .trim()
    .split('\n')
    .map((path) => path.slice('/proc/self/fd/'.length))
  t.same(numbers.slice(0, 3), ['0', '1', '2'])
  t.ok(numbers.length <= 4, output)
})

t.test('descriptors change places without losing one another', async (t) => {
  const [a, b] = [openSync('/proc/self/stat', 'r'), openSync('/proc/self/status', 'r')]
  t.teardown(() => {
    for (const fd of [a, b]) closeFd(fd as Fd)
  })
  const [ours, theirs] = socketpair('stream')
  t.teardown(() => closeFd(ours))
  // So many that their own numbers are among the places: each of them once in the place of the other.
  const fds: (number | null)[] = Array.from({ length: Math.max(a, b) + 1 }, () => null)
  fds[1] = theirs
  fds[a] = b
  fds[b] = a
  const argv = ['sh', '-c', `readlink /proc/self/fd/${a} /proc/self/fd/${b}`]
  const child = startChild({ program: '/bin/sh', argv, cwd: '/', env: { PATH: '/usr/bin:/bin' }, fds })
  closeFd(theirs)
  await child.ended
  const [first, second] = receive(ours, DEADLINE)?.bytes.toString().split('\n') ?? []
  t.match(first, /status$/)
  t.match(second, /stat$/)
})

t.test('signals are as by default, also those that we ignore', async (t) => {
  // Node ignores SIGPIPE.
  const ignored = (text: string): bigint => BigInt(`0x${/^SigIgn:\s*(\w+)/m.exec(text)?.[1]}`)
  t.not(ignored(readFileSync('/proc/self/status', 'utf8')) & (1n << 12n), 0n)
  const { output } = await run('while read -r line; do echo "$line"; done < /proc/self/status')
  t.equal(ignored(output), 0n)
  t.match(output, /^SigBlk:\s*0+$/m)
})

t.test('its standard input blocks', async (t) => {
  const isNonblocking = (): boolean =>
    (Number.parseInt(/^flags:\s*(\d+)/m.exec(readFileSync('/proc/self/fdinfo/0', 'utf8'))?.[1] ?? '', 8) & 0o4000) !== 0
  const before = isNonblocking()
  t.teardown(() => setNonblocking(0, before))
  setNonblocking(0, true)
  await run('exit 0', { fds: [0, null, null] })
  t.notOk(isNonblocking())
})

t.test('a session of its own', async (t) => {
  const field = (text: string): string | undefined => text.slice(text.lastIndexOf(')') + 2).split(' ')[3]
  const script = 'read -r line < /proc/self/stat; echo "$line"'
  const ours = field(readFileSync('/proc/self/stat', 'latin1'))
  t.equal(field((await run(script)).output), ours)
  t.not(field((await run(script, { session: true })).output), ours)
})

t.test('what cannot be started is told, and leaves nothing', async (t) => {
  const nothing = { argv: ['nothing'], cwd: '/', env: {}, fds: [null, null, null] }
  t.throws(() => startChild({ ...nothing, program: '/nothing' }), { syscall: 'posix_spawn', code: 'ENOENT' })
  t.throws(() => startChild({ ...nothing, program: '/bin/sh', cwd: '/nothing' }), { code: 'ENOENT' })
  t.throws(() => startChild({ ...nothing, program: '/etc/passwd' }), { code: 'EACCES' })
})
