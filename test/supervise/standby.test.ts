// What stands ready for the next life of a stock daemon before it is needed.
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { connectionExists } from '../../src/kernel/connection.js'
import { connectionOf, readMounts } from '../../src/kernel/mountinfo.js'
import { argvOf, childrenOf, startTimeOf } from '../../src/kernel/process.js'
import { umount } from '../../src/native/mount.js'
import type { Pid } from '../../src/native/types.js'
import { nothingLeft } from '../fixtures/after-all.js'
import { Child } from '../fixtures/child.js'
import { until } from '../fixtures/deadline.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { cannotGraft, stockDaemons } from '../fixtures/stock-daemons.js'

const skip = cannotGraft('bindfs')

const serving = (place: Place): Promise<Managed> =>
  Managed.serving(place, { daemon: stockDaemons.bindfs.command(place), options: [...unlimited, '--revive', 'graft'] })

/** The process that waits to become the next daemon, once it is in its namespace. */
async function standbyOf(managed: Managed, other?: Pid): Promise<Pid> {
  let found: Pid | undefined
  await until(() => {
    found = childrenOf(managed.pid as Pid).find((pid) => pid !== other && argvOf(pid)[0] === 'keepmount-launcher')
    return found !== undefined
  }, 'a process that stands ready')
  return found as Pid
}

t.test('it has a namespace without the mount, and becomes the next daemon', { skip }, async (t) => {
  const place = placeFor(t)
  const managed = await serving(place)
  const first = await standbyOf(managed)
  t.not(readlinkSync(`/proc/${first}/ns/mnt`), readlinkSync('/proc/self/ns/mnt'))
  t.notOk(readMounts(first).some(({ device }) => connectionOf(device) === managed.connection))
  for (let life = 2, standby = first; life < 5; life++) {
    const { daemon_pid } = await managed.crash()
    t.equal(daemon_pid, standby, `life ${life}`)
    standby = await standbyOf(managed, daemon_pid as Pid)
  }
  t.equal((await managed.stop()).code, 0)
  await nothingLeft(t, place)
})

t.test('it follows what is mounted on the host, and keeps nothing that has gone', { skip }, async (t) => {
  const place = placeFor(t)
  const managed = await serving(place)
  const before = await standbyOf(managed)
  const other = place.path('other')
  mkdirSync(other)
  const stranger = new Child(['bindfs', '-f', place.source, other], { env: place.env, cwd: '/', stdio: 'ignore' })
  place.undo(() => stranger.kill())
  const { device } = await place.mountedAt(other)
  const after = await standbyOf(managed, before)
  t.ok(
    readMounts(after).some((mount) => mount.device === device),
    'the next daemon will see what was mounted since',
  )
  t.equal(startTimeOf(before), null)
  umount(other, 0)
  await until(() => !connectionExists(connectionOf(device)), 'the end of the other connection')
  const { daemon_pid } = await managed.crash()
  t.notOk(readMounts(daemon_pid as Pid).some((mount) => mount.mountpoint === other))
  t.equal((await managed.stop()).code, 0)
  await nothingLeft(t, place)
})

t.test('what a life has seen of the host does not outlive it until the next one', { skip }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, {
    daemon: stockDaemons.bindfs.command(place),
    options: ['--restart-sec', '60', '--revive', 'graft'],
  })
  const other = place.path('other')
  mkdirSync(other)
  const stranger = new Child(['bindfs', '-f', place.source, other], { env: place.env, cwd: '/', stdio: 'ignore' })
  place.undo(() => stranger.kill())
  const { device } = await place.mountedAt(other)
  // The first restart has no delay.
  await managed.crash()
  await managed.event('healed')
  const from = managed.log.events.length
  process.kill(managed.daemon, 'SIGKILL')
  t.match(await managed.event('crashed', { from }), { restart_in_ms: 60_000 })
  umount(other, 0)
  await until(() => !connectionExists(connectionOf(device)), 'the end of the other connection')
  await managed.stop()
  await nothingLeft(t, place)
})

t.test('one that is killed is not missed', { skip }, async (t) => {
  const place = placeFor(t)
  const managed = await serving(place)
  for (const others of [false, true]) {
    const standby = await standbyOf(managed)
    for (const pid of childrenOf(managed.pid as Pid))
      if (pid === standby || (others && argvOf(pid)[0] === 'keepmount-path')) process.kill(pid, 'SIGKILL')
    await managed.crash()
  }
  t.equal((await managed.stop()).code, 0)
  await nothingLeft(t, place)
})

t.test('one that has got the word just before its supervisor was killed is ended', { skip }, async (t) => {
  const place = placeFor(t)
  const managed = await serving(place)
  const file = join(place.state, 'it', 'state.json')
  const recordOf = () => JSON.parse(readFileSync(file, 'utf8'))
  const standby = await standbyOf(managed)
  await until(() => recordOf().next?.pid === standby, 'its record')
  process.kill(managed.pid, 'SIGKILL')
  await managed.child.exited
  process.kill(managed.daemon, 'SIGKILL')
  // The record is of before, when it waited.
  const begun = new Child(['sleep', '1000'], { env: place.env, cwd: '/', stdio: 'ignore' })
  place.undo(() => begun.kill())
  const next = { pid: begun.pid, startTime: startTimeOf(begun.pid as Pid) }
  writeFileSync(file, JSON.stringify({ ...recordOf(), next }))
  const adopted = Managed.adopt(place)
  await adopted.event('revived')
  t.match(await begun.exited, { signal: 'SIGKILL' })
  t.equal((await adopted.stop()).code, 0)
  await nothingLeft(t, place)
})

t.test('it goes with its supervisor', { skip }, async (t) => {
  const place = placeFor(t)
  const managed = await serving(place)
  const standby = await standbyOf(managed)
  process.kill(managed.pid, 'SIGKILL')
  await until(() => startTimeOf(standby) === null, 'its end')
  const adopted = Managed.adopt(place)
  await adopted.event('adopted')
  const next = await standbyOf(adopted)
  t.equal((await adopted.crash()).daemon_pid, next, 'whoever takes up the mount has another one ready')
  t.equal((await adopted.stop()).code, 0)
  await nothingLeft(t, place)
})
