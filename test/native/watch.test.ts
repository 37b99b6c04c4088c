// Waiting for descriptors that libuv cannot watch.
import { closeSync, openSync } from 'node:fs'
import t from 'tap'
import { mount, umount } from '../../src/native/mount.js'
import { pollEvents } from '../../src/native/poll.js'
import { Watcher } from '../../src/native/watch.js'
import { within } from '../fixtures/deadline.js'
import { placeFor } from '../fixtures/place.js'

const skip = process.getuid?.() !== 0 && 'needs root'

t.test('no change of a mount table is lost to one that was watched by the same number before', { skip }, async (t) => {
  const place = placeFor(t)
  const watcher = new Watcher()
  t.teardown(() => watcher.close())
  for (let i = 0; i < 300; i++) {
    const before = openSync('/proc/self/mountinfo', 'r')
    const unwatch = watcher.watch(before, pollEvents.POLLPRI, () => {})
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
