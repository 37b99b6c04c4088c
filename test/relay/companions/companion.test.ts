// The companions share the channel's open file with the relay's thread, which must never block on it.
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { notification } from '../../../src/fuse/message.js'
import type { Fd } from '../../../src/native/types.js'
import { Companion } from '../../../src/relay/companions/companion.js'
import { until } from '../../fixtures/deadline.js'
import { heldBy } from '../held-by.js'

const STARTS = 20

/** Looks at an open file's flags again and again, from the first message until it is told to stop. */
const watching = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { readFileSync } = require('node:fs')
  const { path, flag, shared } = workerData
  const isStopped = new Int32Array(shared)
  const seen = { looks: 0, blocking: 0 }
  parentPort.postMessage('looking')
  while (Atomics.load(isStopped, 0) === 0) {
    const flags = Number.parseInt(/flags:\\s*(\\d+)/.exec(readFileSync(path, 'utf8'))[1], 8)
    seen.looks++
    if ((flags & flag) === 0) seen.blocking++
  }
  parentPort.postMessage(seen)`

t.test('a companion that starts leaves the channel as it is, at every moment', async (t) => {
  const { O_RDWR, O_NONBLOCK } = constants
  const channel = openSync('/dev/null', O_RDWR | O_NONBLOCK) as Fd
  t.teardown(() => closeSync(channel))
  const shared = new SharedArrayBuffer(4)
  const workerData = { path: `/proc/self/fdinfo/${channel}`, flag: O_NONBLOCK, shared }
  const watcher = new Worker(watching, { eval: true, workerData })
  t.teardown(() => watcher.terminate())
  await once(watcher, 'message')
  for (let i = 0; i < STARTS; i++) Companion.start(channel)?.end()
  const said = once(watcher, 'message')
  Atomics.store(new Int32Array(shared), 0, 1)
  const [seen] = (await said) as [{ looks: number; blocking: number }]
  t.ok(seen.looks >= STARTS, `${seen.looks} looks`)
  t.equal(seen.blocking, 0, 'how often it would have blocked')
})

t.test('a companion writes to the channel what it is told to', async (t) => {
  const { path, companion } = onFile(t)
  const message = notification('FUSE_NOTIFY_INVAL_INODE', Buffer.alloc(24, 7))
  companion?.notify(message)
  await until(() => readFileSync(path).length > 0, 'a notification')
  t.strictSame(readFileSync(path), message)
})

t.test('a companion tells which nodeids the kernel holds, and asks it for each', async (t) => {
  const { path, companion } = onFile(t)
  // A file takes every notification, as the kernel takes one about an inode that it has.
  t.strictSame(companion && heldBy(companion.socket, [5, 0, 6, 1]), [true, true])
  const asked = readFileSync(path)
  t.same(
    [0, 40].map((at) => asked.readBigUInt64LE(at + 16)),
    [5n, (1n << 32n) + 6n],
  )
})

/** A companion whose channel is a file, which takes whatever is written. */
function onFile(t: Test): { path: string; companion: Companion | null } {
  const path = `${t.testdir()}/channel`
  writeFileSync(path, '')
  const channel = openSync(path, constants.O_RDWR) as Fd
  t.teardown(() => closeSync(channel))
  const companion = Companion.start(channel)
  t.teardown(() => companion?.end())
  return { path, companion }
}
