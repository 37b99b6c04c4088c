// The three programs as they run: on this machine's own architecture, and under qemu-user on the other.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { holderCommands } from '../../src/elf/holder.js'
import { imageOf, type ProgramName, programs } from '../../src/elf/image.js'
import { type Arch, arch as ours } from '../../src/native/arch.js'
import { closeFd } from '../../src/native/descriptor.js'
import { errnoName } from '../../src/native/error.js'
import { receive, sendMessage, socketpair } from '../../src/native/socket.js'
import type { Fd } from '../../src/native/types.js'
import { Child, runToEnd } from '../fixtures/child.js'
import { arches, runnerOf } from './machines.js'

const folder = mkdtempSync(join(tmpdir(), 'keepmount-programs-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const opened = (path: string): Fd => openSync(path, 'r') as Fd

t.test('an image is a static executable of less than a page, its stack not executable', async (t) => {
  for (const arch of arches) {
    for (const name of Object.keys(programs) as ProgramName[]) {
      const image = imageOf(name, arch)
      t.ok(image.length < 2048, `${name} for ${arch} has ${image.length} bytes`)
      t.equal(image.toString('latin1', 0, 4), '\x7fELF')
      t.equal(image.readUInt16LE(16), 2, 'ET_EXEC')
      t.equal(image.readUInt16LE(18), { x64: 62, arm64: 183 }[arch])
      t.equal(image.readUInt32LE(64 + 4), 5, 'PT_LOAD is readable and executable')
      t.equal(image.readUInt32LE(64 + 56 + 4), 6, 'PT_GNU_STACK is readable and writable')
    }
  }
})

for (const arch of arches) {
  const runner = runnerOf(arch)
  t.test(`on ${arch}`, { skip: runner === null && `nothing runs ${arch} here` }, async (t) => {
    const argv = (name: ProgramName): string[] => {
      const path = join(folder, `${name}-${arch}`)
      writeFileSync(path, imageOf(name, arch), { mode: 0o755 })
      return [...(runner ?? []), path]
    }

    t.test('the prober exits with the errno of statfs', async (t) => {
      for (const [what, args, code] of [
        ['a folder', [folder], 0],
        ['nothing there', [join(folder, 'missing')], constants.errno.ENOENT],
        ['a file as a folder', [join(argv('prober').at(-1) ?? '', 'x')], constants.errno.ENOTDIR],
        ['no argument', [], constants.errno.EINVAL],
      ] as const)
        t.match(await runToEnd([...argv('prober'), ...args]), { code, signal: null }, what)
    })

    t.test('the launcher becomes the program, with its arguments and environment', async (t) => {
      const { code, stdout } = await runToEnd(
        [
          ...argv('launcher'),
          '/bin/sh',
          'a name',
          '-c',
          'echo "$0 $1 $A $LISTEN_PID $LISTEN_PIDS $$"; exit 7',
          'zero',
          'one',
        ],
        { env: { A: 'a', LISTEN_PID: '', LISTEN_PIDS: 'stays', LISTEN_PI: 'stays', Z: 'z' } },
      )
      const [zero, one, a, listenPid, similar, pid] = stdout.trim().split(' ')
      t.same([zero, one, a, similar], ['zero', 'one', 'a', 'stays'])
      t.equal(listenPid, pid, 'LISTEN_PID is its pid')
      t.equal(code, 7)
    })

    t.test('the launcher adds no LISTEN_PID where none was', async (t) => {
      const { stdout } = await runToEnd([...argv('launcher'), '/usr/bin/env', 'env'], {
        env: { A: 'a', LISTEN_PIDS: 'x' },
      })
      t.match(stdout, /^A=a$/m)
      t.notMatch(stdout, /LISTEN_PID=/)
    })

    t.test('the launcher exits 127 for what is not there and 126 for what cannot be run', async (t) => {
      const file = join(folder, 'not-executable')
      writeFileSync(file, '')
      for (const [what, args, code] of [
        ['a missing program', [join(folder, 'missing'), 'x'], 127],
        ['a folder that is a file', [join(file, 'x'), 'x'], 127],
        ['a file that is not executable', [file, 'x'], 126],
        ['a folder', [folder, 'x'], 126],
        ['no argv', [file], 126],
        ['no argument', [], 126],
      ] as const)
        t.match(await runToEnd([...argv('launcher'), ...args]), { code, signal: null }, what)
    })

    const listFds = [
      '/bin/sh',
      'sh',
      '-c',
      'cat <&3 2>/dev/null; [ -e /proc/self/fd/3 ] && echo 3; [ -e /proc/self/fd/4 ] && echo 4; echo end',
    ]
    t.test('the launcher waits for the word, then puts the channel in its place', async (t) => {
      const file = join(folder, 'channel')
      writeFileSync(file, 'from the channel\n')
      for (const [what, env, expected] of [
        ['with a channel', { LISTEN_PID: '0' }, 'from the channel\n3\nend\n'],
        ['without', {}, 'end\n'],
      ] as const) {
        const channel = opened(file)
        const child = new Child([...argv('launcher'), ...listFds], {
          env,
          stdio: ['pipe', 'pipe', 'pipe', 'pipe', ...('LISTEN_PID' in env ? [channel] : [])],
        })
        t.teardown(() => child.kill())
        closeFd(channel)
        const word = child.process.stdio[3]
        if (!word || !('write' in word)) throw new Error('no pipe')
        t.equal(child.stdout, '', `${what}: nothing before the word`)
        word.write('.')
        t.match(await child.end(), { code: 0 })
        await child.says(/end/)
        t.equal(child.stdout, expected, what)
      }
    })

    t.test('the launcher ends when the word never comes', async (t) => {
      const child = new Child([...argv('launcher'), ...listFds], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] })
      t.teardown(() => child.kill())
      child.process.stdio[3]?.destroy()
      t.match(await child.end(), { code: 125 })
      t.equal(child.stdout, '')
    })

    t.test('the holder', async (t) => holderBehaves(t, arch, argv('holder')))
  })
}

async function holderBehaves(t: Test, arch: Arch, argv: string[]): Promise<void> {
  const [theirs, control] = socketpair('dgram')
  const child = new Child(argv, { stdio: [theirs, control, 'ignore'], env: {} })
  t.teardown(() => child.kill())
  closeFd(theirs)
  t.teardown(() => closeFd(control))
  let token = 0n
  const send = (op: number, fd = 0, fds: Fd[] = [], size = 16): void => {
    const bytes = Buffer.alloc(size)
    if (size >= 16) {
      bytes.writeUInt32LE(op, 0)
      bytes.writeUInt32LE(fd, 4)
      bytes.writeBigUInt64LE(++token, 8)
    }
    sendMessage(control, bytes, fds)
  }
  const answer = (): string | number => {
    const bytes = receive(control, 10_000)?.bytes
    if (bytes?.length !== 16 || bytes.readBigUInt64LE(8) !== token) return `not the answer: ${bytes?.toString('hex')}`
    const result = bytes.readInt32LE(4)
    return result < 0 ? errnoName(-result) : result
  }
  const ask = (...command: Parameters<typeof send>): string | number => {
    send(...command)
    return answer()
  }
  // What qemu has open for itself is not the holder's.
  const files = (): string[] =>
    readdirSync(`/proc/${child.pid}/fd`)
      .map((fd) => [fd, readlinkSync(`/proc/${child.pid}/fd/${fd}`)] as const)
      .filter(
        ([, link]) => !link.includes('qemu') && !link.includes(argv.at(-1) ?? '') && !link.startsWith('anon_inode'),
      )
      .map(([fd]) => fd)
      .sort()
  const channel = opened('/dev/null')
  t.teardown(() => closeFd(channel))
  const { HOLD, DROP, PING, EXIT } = holderCommands

  t.equal(ask(PING), 0, 'answers')
  t.same(files(), ['0', '1'], 'inherits nothing but its socket pair')
  const [first, second] = [ask(HOLD, 0, [channel]), ask(HOLD, 0, [channel])]
  t.same([typeof first, typeof second], ['number', 'number'], 'tells which fd it holds a channel by')
  t.not(first, second)
  t.same(files(), ['0', '1', String(first), String(second)].sort())
  t.equal(readlinkSync(`/proc/${child.pid}/fd/${first}`), '/dev/null')
  t.equal(readlinkSync(`/proc/${child.pid}/fd/${second}`), '/dev/null')
  t.equal(ask(HOLD), 'EBADF', 'HOLD without an open file')
  t.equal(ask(DROP, Number(first)), 0)
  t.equal(ask(DROP, Number(first)), 'EBADF', 'dropped twice')
  for (const fd of [0, 1]) t.equal(ask(DROP, fd), 'EINVAL', `its own fd ${fd} stays`)
  t.equal(ask(99), 'ENOSYS', 'an unknown command')
  for (const [what, size] of [
    ['short', 8],
    ['long', 17],
    ['empty', 0],
  ] as const) {
    send(HOLD, 0, [channel], size)
    t.equal(ask(PING), 0, `a message that is too ${what} is passed over`)
  }
  for (const op of [DROP, PING, 99]) ask(op, 77, [channel])
  t.same(files(), ['0', '1', String(second)], 'an open file that came with another command, or a wrong one, is closed')
  // It takes one at once; qemu makes its own room for more.
  if (arch === ours) t.equal(ask(HOLD, 0, [channel, channel]), 'EMFILE', 'two at once')
  t.same(files(), ['0', '1', String(second)])
  for (let i = 0; i < 600; i++) {
    try {
      send(PING)
    } catch {
      break
    }
  }
  while (receive(control, 500) !== null);
  t.equal(ask(PING), 0, 'a flood that nobody reads the answers of does not block it')
  t.equal(ask(EXIT), 0)
  t.match(await child.end(), { code: 0, signal: null })
}

t.test('the holder does not spin when its socket is shut down', async (t) => {
  const [theirs, control] = socketpair('dgram')
  const path = join(folder, 'holder-shut')
  writeFileSync(path, imageOf('holder', ours), { mode: 0o755 })
  const child = new Child([path], { stdio: [theirs, control, 'ignore'], env: {} })
  t.teardown(() => child.kill())
  closeFd(theirs)
  t.teardown(() => closeFd(control))
  sendMessage(control, ping)
  t.ok(receive(control, 10_000), 'it runs')
  spawnSync(process.execPath, ['-e', 'new (require("net").Socket)({fd: 3}).end()'], {
    stdio: ['ignore', 'ignore', 'ignore', control],
  })
  const ticks = () => readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ').slice(13, 15).map(Number)
  const before = ticks()
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.ok(child.running, 'it lives')
  const spent = ticks().reduce((sum, n, i) => sum + n - (before[i] ?? 0), 0)
  t.ok(spent <= 2, `it used ${spent} ticks of 30`)
})
const ping = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
