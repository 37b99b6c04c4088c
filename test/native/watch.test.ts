// Waiting for descriptors that libuv cannot watch.
import { closeSync, openSync, readdirSync } from 'node:fs'
import t from 'tap'
import { mount, umount } from '../../src/native/mount.js'
import { pidfdOpen } from '../../src/native/pidfd.js'
import { pollEvents } from '../../src/native/poll.js'
import type { Pid } from '../../src/native/types.js'
import { Watcher } from '../../src/native/watch.js'
import { until, within } from '../fixtures/deadline.js'
import { placeFor } from '../fixtures/place.js'

const skip = process.getuid?.() !== 0 && 'needs root'

const rows = [
  ['a mount table', () => openSync('/proc/self/mountinfo', 'r'), pollEvents.POLLPRI],
  ['a process', () => pidfdOpen(process.pid as Pid), pollEvents.POLLIN],
] as const

for (const [what, open, events] of rows)
  t.test(`no change of a mount table is lost to ${what} that had its number before`, { skip }, async (t) => {
    const place = placeFor(t)
    const watcher = new Watcher()
    t.teardown(() => watcher.close())
    for (let i = 0; i < 300; i++) {
      const before = open()
      const unwatch = watcher.watch(before, events, () => {})
      // The poll of it begins, and still runs when the number means another file.
      await new Promise((resolve) => setImmediate(resolve))
      unwatch()
      closeSync(before)
      const table = openSync('/proc/self/mountinfo', 'r')
      if (i === 0) t.equal(table, before, 'the number is given again')
      const changed = new Promise((resolve) => {
        const end = watcher.watch(table, pollEvents.POLLPRI, () => {
          end()
          resolve(null)
        })
      })
      mount('keepmount-test', place.mount, 'tmpfs', 0, '')
      await within(changed, 10_000, `the change of round ${i}`)
      umount(place.mount, 0)
      closeSync(table)
    }
  })

t.test('what is not watched any more is open no longer than its owner has it', async () => {
  const watcher = new Watcher()
  const open = () => readdirSync('/proc/self/fd').length
  const other = pidfdOpen(process.pid as Pid)
  watcher.watch(other, pollEvents.POLLIN, () => {})
  await new Promise((resolve) => setImmediate(resolve))
  const before = open()
  const fd = pidfdOpen(process.pid as Pid)
  const unwatch = watcher.watch(fd, pollEvents.POLLIN, () => {})
  unwatch()
  closeSync(fd)
  await until(() => open() === before, 'no copy left')
  watcher.close()
  await until(() => open() === before - 2, 'none at the end')
  closeSync(other)
})
