// Requests in flight on a real connection whose daemon is this test: it reads them and does not answer, as a daemon does
// that dies in the middle. The application is the prober, whose exit code is the errno it was given.
import { closeSync, constants, openSync } from 'node:fs'
import t, { type Test } from 'tap'
import { waitingRequests } from '../../src/kernel/connection.js'
import { connectionOf } from '../../src/kernel/mountinfo.js'
import { rawSyscall } from '../../src/native/ffi.js'
import { withoutBlocking } from '../../src/native/files.js'
import { mount } from '../../src/native/mount.js'
import { pollEvents, pollOnce } from '../../src/native/poll.js'
import type { Fd } from '../../src/native/types.js'
import { startProber } from '../../src/revive/prober.js'
import { isAborted } from '../../src/settle/aborted.js'
import { failInFlight } from '../../src/settle/fail.js'
import { RESENT, resend } from '../../src/settle/resend.js'
import { settle } from '../../src/settle/settle.js'
import { abortMountAt } from '../fixtures/abort.js'
import { until, within } from '../fixtures/deadline.js'
import { placeFor } from '../fixtures/place.js'
import { answerInit } from '../fixtures/raw-daemon.js'

const ETIMEDOUT = 110
const EINTR = 4
const STATFS = 17
const TIMES = 50

function served(t: Test) {
  const place = placeFor(t)
  const channel = openSync('/dev/fuse', constants.O_RDWR) as Fd
  place.undo(() => closeSync(channel))
  mount('test', place.mount, 'fuse', 0, `fd=${channel},rootmode=40000,user_id=0,group_id=0`)
  answerInit(channel)
  const device = place.mounts()[0]?.device ?? ''
  const connection = connectionOf(device)
  place.knowConnection(connection)
  const application = () => {
    const prober = startProber(place.mount)
    if (prober.child.pid !== undefined) place.knowProcess(prober.child.pid)
    return within(prober.answer, 10_000, 'the application')
  }
  return { channel, connection, mountpoint: place.mount, application }
}

const buffer = Buffer.alloc(1 << 16)
/** Reads the next request as a daemon would; null if there is none for a while. */
function read(channel: Fd, waitMs = 5000): { opcode: number; unique: bigint } | null {
  if (!pollOnce(channel, pollEvents.POLLIN, waitMs)) return null
  // Who asked may have been killed since.
  if (withoutBlocking(channel, () => rawSyscall('read', channel, buffer, buffer.length)) < 0) return null
  return { opcode: buffer.readUInt32LE(4), unique: buffer.readBigUInt64LE(8) }
}

t.test('resend: what was read comes again, marked, and before what was not', async (t) => {
  const { channel, connection, mountpoint, application } = served(t)
  const eaten = application()
  const first = read(channel)
  t.match(first, { opcode: STATFS })
  const queued = application()
  pollOnce(channel, pollEvents.POLLIN, 5000)
  t.strictSame(settle(channel, connection, mountpoint, { kind: 'resend' }), { policy: 'resend', failed: null })
  const again = read(channel)
  t.equal(again?.unique, (first?.unique ?? 0n) | RESENT)
  t.equal((read(channel)?.unique ?? 0n) & RESENT, 0n, 'the queued one is not marked')
  abortMountAt(mountpoint)
  await Promise.all([eaten, queued])
})

for (const canResend of [true, false])
  t.test(
    `fail: what was read ends with the errno ${canResend ? 'and what was queued is kept' : 'on a kernel without RESEND'}`,
    async (t) => {
      const { channel, connection, mountpoint, application } = served(t)
      const eaten = [application(), application(), application()]
      for (let i = 0; i < 3; i++) t.ok(read(channel))
      t.equal(waitingRequests(connection), 3)
      const queued = application()
      t.ok(pollOnce(channel, pollEvents.POLLIN, 5000))
      const settled = failInFlight(channel, connection, mountpoint, ETIMEDOUT, canResend)
      t.strictSame(settled, { policy: 'fail:ETIMEDOUT', failed: canResend ? 3 : 4 })
      t.strictSame(await Promise.all(eaten), [ETIMEDOUT, ETIMEDOUT, ETIMEDOUT])
      if (canResend) {
        t.equal(waitingRequests(connection), 1)
        t.match(read(channel), { opcode: STATFS }, 'the next life reads the queued one')
        failInFlight(channel, connection, mountpoint, EINTR)
      }
      await queued
      t.equal(waitingRequests(connection), 0)
    },
  )

t.test('fail without RESEND and without anything queued: a request of our own tells the numbers', async (t) => {
  const { channel, connection, mountpoint, application } = served(t)
  const eaten = application()
  t.ok(read(channel))
  t.match(failInFlight(channel, connection, mountpoint, EINTR, false), { policy: 'fail:EINTR' })
  t.equal(await eaten, EINTR)
  await until(() => waitingRequests(connection) === 0, 'the end of our own request')
})

t.test('fail also ends what was resent before and eaten a second time', async (t) => {
  for (const canResend of [true, false]) {
    const { channel, connection, mountpoint, application } = served(t)
    const eaten = application()
    t.ok(read(channel))
    t.ok(resend(channel))
    t.equal((read(channel)?.unique ?? 0n) & RESENT, RESENT)
    failInFlight(channel, connection, mountpoint, ETIMEDOUT, canResend)
    t.equal(await eaten, ETIMEDOUT)
  }
})

t.test('fail neither fails nor waits when an application is killed and takes its request away', async (t) => {
  const { channel, connection, mountpoint } = served(t)
  for (let time = 0; time < TIMES; time++) {
    const killed = startProber(mountpoint)
    await until(() => pollOnce(channel, pollEvents.POLLIN) !== 0, 'a request')
    killed.child.kill('SIGKILL')
    for (let round = 0; round < 20; round++) failInFlight(channel, connection, mountpoint, EINTR)
    // If it came too late: what we have read it must wait for, and no life was there that failed.
    if (read(channel, 0)) failInFlight(channel, connection, mountpoint, EINTR)
    await within(killed.answer, 10_000, 'its end')
  }
  t.equal(waitingRequests(connection), 0)
})

t.test('hold: nothing is done', async (t) => {
  const { channel, connection, mountpoint, application } = served(t)
  const eaten = application()
  t.ok(read(channel))
  t.strictSame(settle(channel, connection, mountpoint, { kind: 'hold' }), { policy: 'hold', failed: null })
  t.equal(waitingRequests(connection), 1)
  t.equal(pollOnce(channel, pollEvents.POLLIN, 0), 0, 'and nothing comes again')
  abortMountAt(mountpoint)
  await eaten
})

t.test('an aborted connection is told from a living one', async (t) => {
  const { channel, mountpoint } = served(t)
  t.equal(isAborted(channel), false)
  abortMountAt(mountpoint)
  t.equal(isAborted(channel), true)
})
