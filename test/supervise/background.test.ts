// Daemons that fork into the background: the process that was started ends, and another one serves.
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { argvOf, startTimeOf } from '../../src/kernel/process.js'
import type { Pid } from '../../src/native/types.js'
import { nothingLeft } from '../fixtures/after-all.js'
import { builtExample, noExamples } from '../fixtures/compiled.js'
import { until } from '../fixtures/deadline.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'

const revive = ['--revive', 'remount'] as const

t.test('a daemon that forks twice is followed: held, revived, and stopped', { timeout: 60_000 }, async (t) => {
  const place = placeFor(t)
  writeFileSync(join(place.source, 'file'), 'x')
  const managed = await Managed.serving(place, {
    daemon: ['bindfs', place.source, place.mount],
    options: [...unlimited, ...revive],
  })
  const { daemon, state } = await managed.status()
  t.equal(state, 'serving')
  t.match(daemon?.argv, ['bindfs', place.source, place.mount])
  await managed.crash()
  t.ok(existsSync(join(place.mount, 'file')))
  t.equal((await managed.stop()).code, 0)
  await nothingLeft(t, place)
})

t.test('its channel is captured from whoever serves', { timeout: 60_000 }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, { daemon: ['bindfs', place.source, place.mount], options: unlimited })
  t.match(managed.log.find('held'), { channels: 1 })
  t.equal((await managed.stop()).code, 0)
  await nothingLeft(t, place)
})

t.test(
  'a daemon under a wrapper that waits for it is followed, and the wrapper goes with it',
  { timeout: 60_000 },
  async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, {
      daemon: [
        'sh',
        '-c',
        'bindfs -f "$1" "$2" & wait; echo the wrapper goes on; sleep 1000',
        'sh',
        place.source,
        place.mount,
      ],
      options: [...unlimited, ...revive],
    })
    t.equal(argvOf(managed.daemon as Pid)[0], 'bindfs')
    await managed.crash()
    t.equal((await managed.stop()).code, 0)
    await nothingLeft(t, place)
  },
)

t.test(
  'the process that was started may end after its child has been grafted, and both may have had the channel',
  { timeout: 60_000, skip: process.getuid?.() !== 0 ? 'needs root' : noExamples },
  async (t) => {
    const place = placeFor(t)
    writeFileSync(join(place.source, 'file'), 'x')
    const program = builtExample('passthrough_ll', 'lingering-parent')
    const managed = await Managed.serving(place, {
      daemon: [program, '-o', `source=${place.source}`, place.mount],
      options: [...unlimited, '--revive', 'graft'],
    })
    const parentOf = (pid: number) =>
      Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) as Pid
    t.equal(argvOf(parentOf(managed.daemon))[0], program, 'the child is the one that serves')
    const file = openSync(join(place.mount, 'file'), 'r')
    await managed.crash()
    const child = managed.daemon
    const parent = parentOf(child)
    t.equal(argvOf(parent)[0], program, 'also of the next life')
    t.equal((await managed.status()).state, 'healing')
    process.kill(parent, 'SIGUSR1')
    await until(() => startTimeOf(parent) === null, 'the end of the parent')
    t.equal(readFileSync(join(place.mount, 'file'), 'utf8'), 'x', 'its child goes on')
    closeSync(file)
    t.match(await managed.event('healed'), { daemon_pid: child, life: 2 }, 'and gets the channel')
    t.equal(readFileSync(join(place.mount, 'file'), 'utf8'), 'x')
    t.equal(managed.log.all('crashed').length, 1)
    await managed.stop()
    await nothingLeft(t, place)
  },
)

t.test(
  'who has only its input left to work off when the daemon dies, comes to its end',
  { timeout: 60_000 },
  async (t) => {
    const place = placeFor(t)
    const written = place.path('written')
    // As ssh below sshfs, but slower: what it was given is written long after the daemon has died.
    const reader = 'cat >/dev/null; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo written >>"$3"'
    const managed = await Managed.serving(place, {
      daemon: ['sh', '-c', `bindfs -f "$1" "$2" | { ${reader}; }`, 'sh', place.source, place.mount, written],
      options: [...unlimited, ...revive],
    })
    for (const lives of [1, 2]) {
      await managed.crash()
      t.equal(readFileSync(written, 'utf8'), 'written\n'.repeat(lives))
    }
    t.equal((await managed.stop()).code, 0)
    await nothingLeft(t, place)
  },
)
