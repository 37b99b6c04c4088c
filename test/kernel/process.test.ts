import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import t from 'tap'
import { argvOf, childrenOf, familyOf, fuseFdsOf, isAlive, startTimeOf } from '../../src/kernel/process.js'
import { closeFd } from '../../src/native/descriptor.js'
import { pidfdOpen } from '../../src/native/pidfd.js'
import { pollEvents, pollOnce } from '../../src/native/poll.js'
import { askForExit, exitOf } from '../../src/native/process.js'
import type { Pid } from '../../src/native/types.js'
import { until } from '../fixtures/deadline.js'

const self = process.pid as Pid
const ENODATA = 61

function tellsExits(): boolean {
  const pidfd = pidfdOpen(self)
  const errno = askForExit(pidfd)
  closeFd(pidfd)
  return errno === ENODATA
}

t.test('a process is known by its pid and start time, and no later one with that pid', async (t) => {
  const startTime = startTimeOf(self) ?? ''
  t.equal(isAlive({ pid: self, startTime }), true)
  t.equal(isAlive({ pid: self, startTime: '1' }), false)
})

t.test('a zombie is not alive', async (t) => {
  const child = spawn('true', { stdio: 'ignore' })
  const pid = child.pid as Pid
  const pidfd = pidfdOpen(pid)
  t.ok(pollOnce(pidfd, pollEvents.POLLIN, 5000), 'it ends; Node, which is in this very turn, has not reaped it')
  t.equal(startTimeOf(pid), null)
  t.strictSame(exitOf(pidfd, pid), { code: 0, signal: null })
  await once(child, 'exit')
})

for (const [argv, exit] of [
  [['sh', '-c', 'exit 7'], { code: 7, signal: null }],
  [['sh', '-c', 'kill -9 $$'], { code: null, signal: 9 }],
  [['sh', '-c', 'kill -SEGV $$'], { code: null, signal: 11 }],
] as const)
  t.test(`how a child ended is told before it is reaped: ${argv.join(' ')}`, async (t) => {
    const [command, ...args] = argv
    const child = spawn(command, args, { stdio: 'ignore' })
    const pid = child.pid as Pid
    const pidfd = pidfdOpen(pid)
    t.ok(pollOnce(pidfd, pollEvents.POLLIN, 5000))
    t.strictSame(exitOf(pidfd, pid), exit)
    await once(child, 'exit')
  })

t.test('the exit of a process that is no child of ours is told, also while its parent has not reaped it', async (t) => {
  // The parent never waits: its child stays a zombie until it ends itself.
  const parent = spawn('python3', [
    '-c',
    'import os,time\npid=os.fork()\nif pid==0: time.sleep(0.2); os._exit(5)\nprint(pid,flush=True); time.sleep(60)',
  ])
  t.teardown(() => parent.kill('SIGKILL'))
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(line.toString()) as Pid
  const pidfd = pidfdOpen(pid)
  t.ok(pollOnce(pidfd, pollEvents.POLLIN, 5000))
  t.strictSame(exitOf(pidfd, pid), { code: 5, signal: null })
})

t.test('and while its parent is just reaping it', { skip: !tellsExits() && 'kernel before 6.15' }, async (t) => {
  const grandchildren = 1000
  const parent = spawn('python3', [
    '-uc',
    `import os, sys
for line in sys.stdin:
    there, here = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(here); os.read(there, 1); os._exit(0)
    os.close(there); os.write(1, b'%d ' % pid)
    sys.stdin.readline()
    os.close(here); os.waitpid(pid, 0)`,
  ])
  t.teardown(() => parent.kill('SIGKILL'))
  let untold = 0
  for (let i = 0; i < grandchildren; i++) {
    parent.stdin.write('begin\n')
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString()) as Pid
    const pidfd = pidfdOpen(pid)
    parent.stdin.write('end\n')
    await until(() => pollOnce(pidfd, pollEvents.POLLIN, 1) !== 0, 'its end')
    if (exitOf(pidfd, pid).code !== 0) untold++
    closeFd(pidfd)
  }
  t.equal(untold, 0)
})

t.test('a family is a process and all below it, parents first', async (t) => {
  const child = spawn('sh', ['-c', 'sleep 60 & echo; wait'])
  t.teardown(() => {
    for (const pid of familyOf(child.pid as Pid).reverse()) process.kill(pid, 'SIGKILL')
  })
  await once(child.stdout, 'data')
  const [shell, sleeper] = familyOf(child.pid as Pid)
  t.equal(shell, child.pid)
  // It says so before the other has become what it is to be.
  await until(() => argvOf(sleeper as Pid)[0] === 'sleep', 'the sleeper')
  t.strictSame(argvOf(sleeper as Pid), ['sleep', '60'])
  t.ok(childrenOf('self').includes(child.pid as Pid))
})

t.test('an open FUSE device is found, with no connection as long as it serves none', async (t) => {
  const fd = openSync('/dev/fuse', 'r+')
  t.match(
    fuseFdsOf(self).filter((found) => Number(found.fd) === fd),
    [{ fd, connection: null }],
  )
})
