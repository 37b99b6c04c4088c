// A life in a mount namespace of its own, and how that follows the host's.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { imageOf } from '../../src/elf/image.js'
import { HostFollower } from '../../src/graft/host-follower.js'
import { type IsolatedLaunched, launchIsolated, mountpointsOf } from '../../src/graft/isolated-launch.js'
import { connectionExists } from '../../src/kernel/connection.js'
import { connectionOf, type Mount, readMounts } from '../../src/kernel/mountinfo.js'
import { arch } from '../../src/native/arch.js'
import { mount, umount, umountFlags } from '../../src/native/mount.js'
import type { Pid } from '../../src/native/types.js'
import { Child } from '../fixtures/child.js'
import { until, within } from '../fixtures/deadline.js'
import { type Place, placeFor } from '../fixtures/place.js'

const skip = process.getuid?.() !== 0 && 'needs root'
const MS_BIND = 4096
const MS_SHARED = 1 << 20

/** A life that is only there, and sees its namespace. */
async function life(t: Test, place: Place, detach: readonly string[]): Promise<IsolatedLaunched> {
  const launched = launchIsolated({
    path: '/bin/sleep',
    argv: ['sleep', '600'],
    cwd: '/',
    env: { KEEPMOUNT_STATE_DIR: place.state },
    channel: null,
    detach,
  })
  t.teardown(() => launched.child.kill('SIGKILL'))
  await within(launched.isolated, 10_000, 'a namespace')
  return launched
}

/** A FUSE mount that nobody serves. */
function fuseAt(t: Test, place: Place, name: string): Mount {
  const path = place.path(name)
  mkdirSync(path, { recursive: true })
  const fd = openSync('/dev/fuse', 'r+')
  t.teardown(() => closeSync(fd))
  mount('keepmount-test', path, 'fuse', 0, `fd=${fd},rootmode=40000,user_id=0,group_id=0`)
  const made = place.mounts().find(({ mountpoint }) => mountpoint === path)
  if (!made) throw new Error('no mount')
  place.knowConnection(connectionOf(made.device))
  return made
}
const tmpfsAt = (place: Place, name: string): string => {
  const path = place.path(name)
  mkdirSync(path, { recursive: true })
  mount('keepmount-test', path, 'tmpfs', 0, 'size=64k')
  return path
}
const seenBy = (pid: Pid, place: Place): string[] =>
  readMounts(pid)
    .map(({ mountpoint }) => mountpoint)
    .filter((mountpoint) => mountpoint.startsWith(place.folder))
    .map((mountpoint) => mountpoint.slice(place.folder.length + 1))

t.test('the life has a namespace of its own, without the old mount and its bind mounts', { skip }, async (t) => {
  const place = placeFor(t)
  const { device } = fuseAt(t, place, 'old')
  for (const name of ['bound', 'bound again']) {
    mkdirSync(place.path(name))
    mount(place.path('old'), place.path(name), '', MS_BIND, '')
  }
  tmpfsAt(place, 'other')
  const { pid, child } = await life(t, place, mountpointsOf(readMounts(), device))
  t.not(readlinkSync(`/proc/${pid}/ns/mnt`), readlinkSync('/proc/self/ns/mnt'))
  t.same(seenBy(pid, place), ['other'])
  t.equal(place.mounts().length, 4, 'on the host nothing has changed')
  t.notOk(readMounts(pid).some((mount) => mount.device === device))
  child.kill()
  await child.ended
  for (const { mountpoint } of place.mounts().reverse()) umount(mountpoint, umountFlags.MNT_DETACH)
  await until(() => !connectionExists(connectionOf(device)), 'the end of the connection')
})

t.test('what was mounted over the old mount goes first', { skip }, async (t) => {
  const place = placeFor(t)
  const { device, mountpoint } = fuseAt(t, place, 'old')
  mount('keepmount-test', mountpoint, 'tmpfs', 0, '')
  mount('keepmount-test', mountpoint, 'tmpfs', 0, '')
  t.same(mountpointsOf(readMounts(), device), [mountpoint, mountpoint, mountpoint])
  const { pid } = await life(t, place, mountpointsOf(readMounts(), device))
  t.same(seenBy(pid, place), [])
})

t.test('what is gone already is passed over', { skip }, async (t) => {
  const place = placeFor(t)
  const other = tmpfsAt(place, 'other')
  const { pid } = await life(t, place, [place.path('missing'), place.source, other, other])
  t.same(seenBy(pid, place), [])
})

t.test('it becomes the daemon at the word, not before, with its argv and environment', { skip }, async (t) => {
  const place = placeFor(t)
  const { pid, go } = await life(t, place, [])
  const argv = () => readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  await until(() => argv().startsWith('keepmount-launcher\0'), 'the launcher')
  go()
  await until(() => argv().replaceAll('\0', ' ') === 'sleep 600 ', 'the daemon')
  t.ok(readFileSync(`/proc/${pid}/environ`, 'latin1').startsWith(`KEEPMOUNT_STATE_DIR=${place.state}\0`))
})

t.test('what fails comes back with its step', { skip }, async (t) => {
  const place = placeFor(t)
  writeFileSync(place.path('file'), '')
  await t.rejects(life(t, place, [`${place.path('file')}/x`]), {
    name: 'GraftError',
    reason: 'unisolated',
    message: /umount: not a directory$/,
  })
})

t.test('without the right to, it says so and exits', { skip }, async (t) => {
  const place = placeFor(t)
  spawnSync('chmod', ['755', place.folder])
  const program = place.path('isolate')
  writeFileSync(program, imageOf('isolate', arch), { mode: 0o755 })
  const child = new Child([program, '', '/bin/true', 'true'], { uid: 65534, stdio: ['pipe', 'pipe', 'pipe', 'pipe'] })
  const report = new Promise<Buffer>((resolve) => child.process.stdio[3]?.once('data', resolve))
  t.match(await child.end(), { code: 121 })
  t.same([...(await within(report, 10_000, 'a report'))], [1, 0, 0, 0, 1, 0, 0, 0], 'unshare: EPERM')
})

t.test('a mount that goes on the host goes in the life, and nothing else', { skip }, async (t) => {
  const place = placeFor(t)
  const { device } = fuseAt(t, place, 'old')
  const other = fuseAt(t, place, 'other')
  tmpfsAt(place, 'disk')
  tmpfsAt(place, 'disk/inner')
  tmpfsAt(place, 'stays')
  let pid: Pid | null = null
  const follower = new HostFollower(() => pid)
  pid = (await life(t, place, mountpointsOf(readMounts(), device))).pid
  await follower.hostChanged()
  t.same(seenBy(pid, place), ['other', 'disk', 'disk/inner', 'stays'])

  umount(other.mountpoint, 0)
  await follower.hostChanged()
  t.same(seenBy(pid, place), ['disk', 'disk/inner', 'stays'])
  t.notOk(connectionExists(connectionOf(other.device)), 'its connection has disappeared')

  umount(place.path('disk/inner'), 0)
  umount(place.path('disk'), 0)
  await Promise.all([follower.hostChanged(), follower.hostChanged()])
  t.same(seenBy(pid, place), ['stays'])

  tmpfsAt(place, 'later')
  await follower.hostChanged()
  umount(place.path('later'), 0)
  await follower.hostChanged()
  t.same(seenBy(pid, place), ['stays'])
})

t.test('where the host shares its mounts, they come and go in the life, but not the other way', { skip }, async (t) => {
  const place = placeFor(t)
  mount('', tmpfsAt(place, 'shared'), '', MS_SHARED, '')
  tmpfsAt(place, 'shared/old')
  const { pid } = await life(t, place, [place.path('shared/old')])
  t.same(seenBy(pid, place), ['shared'])
  tmpfsAt(place, 'shared/later')
  t.same(seenBy(pid, place), ['shared', 'shared/later'])
  umount(place.path('shared/later'), 0)
  t.same(seenBy(pid, place), ['shared'])
  const decoy = spawnSync('nsenter', ['-t', String(pid), '-m', 'mount', '-t', 'tmpfs', 'x', place.path('shared/old')])
  t.equal(decoy.status, 0)
  t.same(seenBy(pid, place), ['shared', 'shared/old'])
  t.equal(place.mounts().length, 2, 'the host has the old one, and not the life’s')
})

t.test('what the life uses stays with it, until it does not', { skip }, async (t) => {
  const place = placeFor(t)
  const disk = tmpfsAt(place, 'disk')
  let pid: Pid | null = null
  const follower = new HostFollower(() => pid)
  const launched = await life(t, place, [])
  pid = launched.pid
  // Something of the life has a folder there for its own.
  const user = new Child(['nsenter', '-t', String(pid), '-m', 'sh', '-c', `cd ${disk} && echo in && read -r line`])
  t.teardown(() => user.kill())
  await user.says(/in/)
  umount(disk, 0)
  await follower.hostChanged()
  t.same(seenBy(pid, place), ['disk'])
  user.process.stdin?.end('\n')
  await user.end()
  await follower.hostChanged()
  t.same(seenBy(pid, place), [])
})

t.test('a life that has ended, or is none, is no error', { skip }, async (t) => {
  const place = placeFor(t)
  const disk = tmpfsAt(place, 'disk')
  const none = new HostFollower(() => null)
  const dead = new HostFollower(() => 0x7ffffff0 as Pid)
  umount(disk, 0)
  await none.hostChanged()
  await dead.hostChanged()
})
