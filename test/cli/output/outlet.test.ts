// An outlet's reader may be slow, stopped or gone: the one who writes must not notice.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Outlet } from '../../../src/cli/output/outlet.js'
import { builtProgram } from '../../fixtures/project.js'

const folder = t.testdir()
const line = `${'x'.repeat(99)}\n`

t.test('a file is made for its owner alone, and appended to', async (t) => {
  const path = join(folder, 'new')
  for (const text of ['one\n', 'two\n']) {
    const outlet = Outlet.toFile(path)
    outlet.write(text)
    await outlet.close()
  }
  t.equal(readFileSync(path, 'utf8'), 'one\ntwo\n')
  t.equal(statSync(path).mode & 0o777, 0o600)
})

t.test('a named pipe that nobody reads is refused', async (t) => {
  t.throws(() => Outlet.toFile(fifo('unread')), { code: 'ENXIO' })
})

t.test('a reader that takes nothing does not stop the writer, and later gets all', async (t) => {
  const { outlet, reader } = piped(t, 'slow')
  for (let i = 0; i < 10_000; i++) outlet.write(line)
  t.notOk(outlet.isIdle)
  const closed = outlet.close()
  let size = 0
  const buffer = Buffer.alloc(1 << 16)
  for (let ended = false; !ended; ) {
    await new Promise(setImmediate)
    try {
      const count = readSync(reader, buffer)
      size += count
      ended = size === 10_000 * line.length
    } catch {
      // Nothing there at the moment.
    }
  }
  await closed
  t.equal(size, 1_000_000)
  t.equal(outlet.dropped, 0)
})

t.test('what a stopped reader leaves is kept up to a limit only, and the end does not wait for ever', async (t) => {
  const { outlet } = piped(t, 'stopped')
  for (let i = 0; i < 60_000; i++) outlet.write(line)
  t.ok(outlet.dropped > 10_000)
  await outlet.close()
})

t.test('a reader that goes away ends nothing', async (t) => {
  const { outlet, reader } = piped(t, 'gone', false)
  outlet.write(line)
  closeSync(reader)
  outlet.write(line)
  await new Promise(setImmediate)
  outlet.write(line)
  await outlet.close()
  t.notOk(outlet.isIdle)
})

const standards: [kind: string, stdio: () => number | 'pipe'][] = [
  ['pipe', () => openSync(fifo('stdout'), constants.O_RDWR)],
  // What Node gives its children.
  ['socket', () => 'pipe'],
]
for (const [kind, stdio] of standards) {
  t.test(`a stopped reader of a ${kind} on stdout keeps nobody, and its flags stay the daemon’s`, async (t) => {
    // Without what a test runner adds to Node, which looks at stdout.
    const child = spawn('env', ['-i', process.execPath, builtProgram('test/fixtures/chatterbox')], {
      stdio: ['ignore', stdio(), 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    t.same(await once(child, 'exit'), [0, null])
  })
}

function fifo(name: string): string {
  const path = join(folder, name)
  execFileSync('mkfifo', [path])
  return path
}

function piped(t: Test, name: string, closes = true): { outlet: Outlet; reader: number } {
  const path = fifo(name)
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  if (closes) t.teardown(() => closeSync(reader))
  return { outlet: Outlet.toFile(path), reader }
}
