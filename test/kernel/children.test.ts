// Children that are waited for, and orphans that nobody else reaps.
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { reapOrphans, startChild, startedChildren } from '../../src/kernel/children.js'
import { childrenOf, startTimeOf } from '../../src/kernel/process.js'
import { becomeSubreaper } from '../../src/native/process.js'
import type { Pid } from '../../src/native/types.js'
import { until, within } from '../fixtures/deadline.js'

t.test('orphans are reaped, and the end of each process that we started is told', async (t) => {
  becomeSubreaper()
  const reap = () => reapOrphans()
  process.on('SIGCHLD', reap)
  t.teardown(() => process.off('SIGCHLD', reap))
  for (let round = 0; round < 30; round++) {
    // They end at about the same time, so that some end while others are looked at.
    const ends = Array.from({ length: 6 }, (_, code) => {
      const argv = ['sh', '-c', `(exit 0) & exec sh -c 'exit ${code}'`]
      const child = startChild({ program: '/bin/sh', argv, cwd: '/', env: {}, fds: [null, null, null] })
      return child.ended.then((end) => end.code)
    })
    t.same(await within(Promise.all(ends), 10_000, `the ends of round ${round}`), [0, 1, 2, 3, 4, 5])
  }
  t.equal(startedChildren().size, 0, 'none of them counts as running')
  await until(() => {
    reap()
    return childrenOf('self').length === 0
  }, 'the end of all orphans')
})

t.test('an orphan whose end is still to be told is left', async (t) => {
  becomeSubreaper()
  const before = new Set(childrenOf('self'))
  spawnSync('sh', ['-c', 'true & exit 0'])
  await until(() => childrenOf('self').some((pid) => !before.has(pid)), 'an orphan')
  const [orphan = 0 as Pid] = childrenOf('self').filter((pid) => !before.has(pid))
  await until(() => startTimeOf(orphan) === null, 'its death')
  reapOrphans(orphan)
  t.ok(childrenOf('self').includes(orphan))
  await until(() => {
    reapOrphans()
    return !childrenOf('self').includes(orphan)
  }, 'its end')
})
