// Daemons with clone_fd: each thread of theirs has a file of its own, whose requests die with it. Tried with libfuse's own
// example passthrough_ll, built from libfuse3-dev as it is shipped.
import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fuseFdsOf } from '../../src/kernel/process.js'
import type { Pid } from '../../src/native/types.js'
import { nothingLeft } from '../fixtures/after-all.js'
import { Child } from '../fixtures/child.js'
import { builtExample, noExamples } from '../fixtures/compiled.js'
import { until, within } from '../fixtures/deadline.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { mirrorCommand } from '../fixtures/project.js'

const example = '/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c'
const skip =
  existsSync(example) && !spawnSync('gcc', ['--version']).error ? false : 'no gcc or no example of libfuse3-dev'

t.test(
  'every clone that a daemon has, and each it opens later, is held in every holder',
  { skip, timeout: 60_000 },
  async (t) => {
    const place = placeFor(t)
    const program = place.path('passthrough_ll')
    const flags = spawnSync('pkg-config', ['--cflags', '--libs', 'fuse3'], { encoding: 'utf8' })
      .stdout.trim()
      .split(/\s+/)
    t.equal(spawnSync('gcc', [example, ...flags, '-o', program]).status, 0, 'the example is built')
    const managed = await Managed.serving(place, {
      daemon: [program, '-f', '-o', `clone_fd,max_idle_threads=10,source=${place.source}`, place.mount],
      options: unlimited,
    })
    const channelsOf = (pid: number) => fuseFdsOf(pid as Pid).length
    const atFirst = channelsOf(managed.daemon)
    t.ok(atFirst >= 2, `${atFirst} channels`)
    const writers = Array.from(
      { length: 6 },
      (_, i) => new Child(['dd', 'if=/dev/zero', `of=${join(place.mount, `z${i}`)}`, 'bs=4k', 'count=4000']),
    )
    for (const writer of writers) t.equal((await writer.end()).code, 0)
    const allHeld = async () => {
      for (;;) {
        const wanted = channelsOf(managed.daemon)
        if (managed.holders.every((holder) => channelsOf(holder) === wanted)) return wanted
        // No event tells of what the holders have.
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
    const held = await within(allHeld(), 20_000, 'all clones in all holders')
    t.ok(held > atFirst, `${held} channels after the load`)
    const { holders } = JSON.parse(readFileSync(join(place.state, 'it', 'state.json'), 'utf8')) as {
      holders: { fds: number[] }[]
    }
    t.ok(
      holders.every(({ fds }) => fds.length === held && !fds.includes(-1)),
      'and on record',
    )
    t.equal((await managed.stop()).code, 1, 'as this daemon itself ends on SIGTERM')
    await nothingLeft(t, place)
  },
)

t.test(
  'a clone is held as soon as it is opened, however long nothing was opened before',
  { skip: noExamples, timeout: 60_000 },
  async (t) => {
    const place = placeFor(t)
    const program = builtExample('passthrough_ll', 'clone-opener')
    const managed = await Managed.serving(place, {
      daemon: [program, '-f', '-o', `source=${place.source}`, place.mount],
      options: unlimited,
    })
    const { daemon, holders } = managed
    // Looking at growing intervals, it would be seen later each time.
    for (let clones = 1; clones <= 10; clones++) {
      process.kill(daemon, 'SIGUSR1')
      await until(
        () => holders.every((holder) => fuseFdsOf(holder as Pid).length === clones + 1),
        `clone ${clones} in all holders`,
        4000,
      )
    }
    t.ok(fuseFdsOf(daemon as Pid).every(({ connection }) => connection === managed.connection || connection === null))
    await managed.stop()
    await nothingLeft(t, place)
  },
)

t.test(
  'an opening while there is no daemon keeps nobody busy',
  { skip: process.getuid?.() !== 0 && 'needs root', timeout: 60_000 },
  async (t) => {
    const place = placeFor(t)
    const flag = place.path('flag')
    const managed = await Managed.serving(place, {
      daemon: ['sh', '-c', '[ -e "$0" ] && exit 1; exec "$@"', flag, ...mirrorCommand(place.source, place.mount)],
      options: ['--restart-sec', '3'],
    })
    writeFileSync(flag, '')
    process.kill(managed.daemon, 'SIGKILL')
    await managed.event('crashed', { where: ({ restart_in_ms }) => (restart_in_ms ?? 0) > 0 })
    closeSync(openSync('/dev/fuse', 'r'))
    const before = ticksOf(managed.pid)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const ticks = ticksOf(managed.pid) - before
    t.ok(ticks < 20, `${ticks} of 100 ticks`)
    rmSync(flag)
    await managed.event('revived')
    await managed.stop()
    await nothingLeft(t, place)
  },
)

/** Processor time, in hundredths of a second. Source: proc_pid_stat(5), utime and stime. */
function ticksOf(pid: number): number {
  const [, , , , , , , , , , , utime, stime] =
    readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(utime) + Number(stime)
}
