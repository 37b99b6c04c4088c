// Grafting stock daemons: the next life is started, mounts its decoy, gets a socket for its channel, answers there, and in
// the end gets the channel of the old mount.
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { channelFdsOf } from '../../src/capture/take-channels.js'
import { isAbandoned } from '../../src/graft/decoy.js'
import { copiesOf } from '../../src/graft/descriptors.js'
import { exchangeFds } from '../../src/graft/exchange.js'
import { connectionExists } from '../../src/kernel/connection.js'
import { connectionOf, type Mount, readMounts } from '../../src/kernel/mountinfo.js'
import { fuseFdsOf } from '../../src/kernel/process.js'
import type { Pid } from '../../src/native/types.js'
import { startProber } from '../../src/revive/prober.js'
import { Child } from '../fixtures/child.js'
import { compiledExample, noExamples } from '../fixtures/compiled.js'
import { until } from '../fixtures/deadline.js'
import type { Place } from '../fixtures/place.js'
import { type DaemonCommand, deadMount, Grafted, liveMount } from './grafted.js'

const installed = (name: string): string | null => {
  const { stdout, status } = spawnSync('which', [name], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : null
}
const missing = (name: string): string | false => (installed(name) ? false : `no ${name}`)

const stock =
  (name: string, ...options: string[]): DaemonCommand =>
  ({ source, mount }) => [installed(name) ?? name, ...options, source, mount]

const passthroughLl =
  (options: string, ...flags: string[]): DaemonCommand =>
  (place) => [
    existsSync(place.path('passthrough_ll')) ? place.path('passthrough_ll') : compiledExample(place, 'passthrough_ll'),
    ...flags,
    '-o',
    `source=${place.source}${options}`,
    place.mount,
  ]

const sftpServer = '/usr/lib/openssh/sftp-server'
/** Over a pipe to the sftp server: no ssh, no network. */
const sshfs: DaemonCommand = (place: Place) => {
  const ssh = place.path('ssh')
  writeFileSync(ssh, `#!/bin/sh\nexec ${sftpServer}\n`, { mode: 0o755 })
  return [installed('sshfs') ?? '', '-f', '-o', `ssh_command=${ssh}`, `localhost:${place.source}`, place.mount]
}
const overlay: DaemonCommand = (place) => {
  spawnSync('mkdir', ['-p', place.path('upper'), place.path('work')])
  const layers = `lowerdir=${place.source},upperdir=${place.path('upper')},workdir=${place.path('work')}`
  return [installed('fuse-overlayfs') ?? '', '-f', '-o', layers, place.mount]
}

const mergerfs: DaemonCommand = ({ source, mount }) => [installed('mergerfs') ?? '', '-f', source, mount]
const gocryptfs: DaemonCommand = (place) => {
  const password = ['-extpass', 'echo secret']
  if (!existsSync(place.path('source/gocryptfs.conf')))
    spawnSync('gocryptfs', ['-init', '-q', '-scryptn', '10', ...password, place.source])
  return [installed('gocryptfs') ?? '', '-fg', '-q', ...password, place.source, place.mount]
}
const rclone =
  (command: string): DaemonCommand =>
  ({ source, mount }) => [installed('rclone') ?? '', '--config', '/dev/null', command, source, mount]

const daemons = {
  'bindfs (libfuse 2 or 3, multi-threaded)': [stock('bindfs', '-f'), missing('bindfs')],
  'bindfs, single-threaded': [stock('bindfs', '-f', '-s'), missing('bindfs')],
  'bindfs in the background': [stock('bindfs'), missing('bindfs')],
  passthrough_ll: [passthroughLl('', '-f'), noExamples],
  'passthrough_ll with clones of its channel': [passthroughLl(',clone_fd', '-f'), noExamples],
  'passthrough_ll, single-threaded': [passthroughLl('', '-f', '-s'), noExamples],
  'passthrough_ll in the background': [passthroughLl(''), noExamples],
  'sshfs over a pipe': [sshfs, missing('sshfs') || (existsSync(sftpServer) ? false : 'no sftp-server')],
  'fuse-overlayfs': [overlay, missing('fuse-overlayfs')],
  mergerfs: [mergerfs, missing('mergerfs')],
  'gocryptfs (go-fuse)': [gocryptfs, missing('gocryptfs')],
  'rclone mount (bazil)': [rclone('mount'), missing('rclone')],
  'rclone mount2 (go-fuse)': [rclone('mount2'), missing('rclone')],
  'unionfs-fuse': [stock('unionfs', '-f'), missing('unionfs')],
} as const satisfies Record<string, readonly [DaemonCommand, string | false]>

/** None for a process that has ended meanwhile. */
function mountsSeenBy(pid: Pid): Mount[] {
  try {
    return readMounts(pid)
  } catch {
    return []
  }
}

for (const [name, [command, reason]] of Object.entries(daemons)) {
  const skip = process.getuid?.() !== 0 ? 'needs root' : reason
  t.test(
    `${name} answers on a socket, and then on the channel of the old mount`,
    { skip, timeout: 60_000 },
    async (t) => {
      const old = await deadMount(t, command)
      const began = performance.now()
      const life = await Grafted.start(t, old, command)
      t.comment(`its decoy was ready after ${(performance.now() - began).toFixed(1)} ms`)
      const { decoy, family } = life
      const seen = family.now().flatMap(mountsSeenBy)
      t.notOk(
        seen.some(({ device }) => device === old.mount.device),
        'it does not see the old mount',
      )
      t.notOk(
        readMounts().some(({ device }) => device === decoy.mount.device),
        'and we do not see its decoy',
      )

      const { fds, stopUs } = life.graft()
      t.comment(`stopped for ${Math.round(stopUs)} us, ${fds.length} descriptors`)
      t.ok(fds.length > 0)
      t.same(
        family.now().flatMap((pid) => fuseFdsOf(pid)),
        [],
        'it has no channel any more',
      )
      t.equal(await isAbandoned(decoy, AbortSignal.timeout(10_000)), true, 'nor has anyone else')
      for (let i = 0; i < 20; i++) {
        t.same(life.ask('STATFS'), { length: 96, error: 0 })
        t.same(life.ask('GETATTR'), { length: 120, error: 0 })
      }

      for (const pid of family.now()) {
        const copies = copiesOf(pid, life.theirs)
        if (copies.length > 0) exchangeFds(pid, copies, old.channel)
      }
      const prober = startProber(old.place.mount)
      t.equal(await prober.answer, 0, 'it serves the old mount')

      await family.kill()
      await until(() => !connectionExists(decoy.connection), 'the end of the decoy')
    },
  )
}

const traffic = (mount: string): string =>
  `i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo $i >${mount}/f && [ "$(cat ${mount}/f)" = $i ] && mv ${mount}/f ${mount}/g && ls ${mount} >/dev/null || exit 1; done; echo all of it`

for (const name of [
  'bindfs (libfuse 2 or 3, multi-threaded)',
  'passthrough_ll',
  'gocryptfs (go-fuse)',
  'rclone mount (bazil)',
] as const) {
  const [command, reason] = daemons[name]
  const skip = process.getuid?.() !== 0 ? 'needs root' : reason
  t.test(
    `${name} serves without an error while its channel is exchanged again and again`,
    { skip, timeout: 90_000 },
    async (t) => {
      const { place, pid, mount, channel } = await liveMount(t, command)
      const connection = connectionOf(mount.device)
      const application = new Child(['sh', '-c', traffic(place.mount)])
      t.teardown(() => application.kill())
      let count = 0
      for (; application.running; count++) {
        // By the same open file: what is under way must come to its end.
        exchangeFds(pid, channelFdsOf(pid, connection), channel)
        await new Promise((resolve) => setImmediate(resolve))
      }
      t.match(await application.end(), { code: 0 }, `no error in ${count} exchanges`)
      await application.output()
      t.match(application.stdout, /all of it/)
      t.ok(count > 50, `${count} exchanges`)
    },
  )
}
