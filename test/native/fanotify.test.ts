// Who has opened a file is told, each since the last look, and nobody else.
import { spawnSync } from 'node:child_process'
import { linkSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { closeFd } from '../../src/native/descriptor.js'
import { fanotifyEvents, fanotifyOf, takeCausers } from '../../src/native/fanotify.js'
import { pollEvents, pollOnce } from '../../src/native/poll.js'
import type { Fd, Pid } from '../../src/native/types.js'

const skip = process.getuid?.() !== 0 && 'needs root'

t.test('who has opened a file is told, by whatever name', { skip }, async (t) => {
  const folder = t.testdir({ file: '', other: '' })
  linkSync(join(folder, 'file'), join(folder, 'name'))
  const fd = fanotifyOf(join(folder, 'file'), fanotifyEvents.FAN_OPEN)
  t.teardown(() => closeFd(fd))
  t.equal(pollOnce(fd, pollEvents.POLLIN, 0), 0)
  t.same(takeCausers(fd), new Set())
  spawnSync('cat', [join(folder, 'other')])
  t.equal(pollOnce(fd, pollEvents.POLLIN, 0), 0, 'nobody has opened it')
  const child = spawnSync('cat', [join(folder, 'name')])
  closeFd(openSync(join(folder, 'file'), 'r') as Fd)
  t.equal(pollOnce(fd, pollEvents.POLLIN, 1000), pollEvents.POLLIN)
  t.same(takeCausers(fd), new Set([child.pid as Pid, process.pid as Pid]))
  t.same(takeCausers(fd), new Set(), 'once each')
  writeFileSync(join(folder, 'file'), 'x')
  t.same(takeCausers(fd), new Set([process.pid as Pid]))
})

t.test('what is not there cannot be watched, and leaves no descriptor', { skip }, async (t) => {
  t.throws(() => fanotifyOf(join(t.testdir(), 'none'), fanotifyEvents.FAN_OPEN), { code: 'ENOENT' })
})
