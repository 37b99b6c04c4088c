import t from 'tap'
import { paint } from '../../../src/cli/output/paint.js'
import type { MountStatus } from '../../../src/cli/status/mount-status.js'
import { statusTable } from '../../../src/cli/status/table.js'

const plain = paint(false, {})
const mount: MountStatus = {
  name: 'data',
  mountpoint: '/mnt/data',
  device: '0:44',
  connection: 44,
  state: 'serving',
  revive: 'inherit',
  life: 3,
  daemon: { pid: 7, argv: ['sshfs'] },
  holders: [{ pid: 8 }, { pid: 9 }],
  supervisor: { pid: 6 },
  crashes: 2,
  last_crash: { time: new Date().toISOString(), life: 2, pid: 5, code: null, signal: 'SIGSEGV', downtime_ms: 12.3 },
  healing: null,
  waiting: 0,
}

t.test('without mounts it says so', async (t) => t.equal(statusTable([], plain), 'no managed mounts\n'))

t.test('shows a line for each mount under its heads', async (t) => {
  const [head = '', ...lines] = statusTable([mount, { ...mount, name: 'other-one' }], plain)
    .trimEnd()
    .split('\n')
  t.equal(lines.length, 2)
  t.match(lines[0], /^data +serving +\/mnt\/data +3 +2 +.* ago, SIGSEGV, paused 12\.3 ms +0 +7 +8 9 +6$/)
  t.equal(head.indexOf('STATE'), lines[0]?.indexOf('serving'))
})

t.test('tells what is dead and what to do', async (t) => {
  const table = statusTable(
    [{ ...mount, state: 'unsupervised', daemon: null, supervisor: null, holders: [], waiting: null }],
    plain,
  )
  t.match(table, /unsupervised .*– +dead +none +dead\n→ .*keepmount adopt data\n$/)
})

t.test('a mount that is made anew after a crash needs no holders', async (t) => {
  t.notMatch(statusTable([{ ...mount, revive: 'remount', holders: [] }], plain), 'none')
})

t.test('tells who keeps a mount behind its relay', async (t) => {
  const pins = [
    { pid: 12, command: 'vim', path: '/mnt/data/a' },
    { pid: null, command: '', path: '/mnt/bind' },
  ]
  const healing = { reason: 'pinned', stale_nodes: 2, stale_handles: 1, pins } as const
  t.match(
    statusTable([{ ...mount, state: 'healing', healing }], plain),
    /→ data is behind the relay \(2 nodeids and 1 handle not .*held by vim \(12\) \/mnt\/data\/a, the kernel \/mnt\/bind\n/,
  )
})

for (const width of [20, 40, 80, 120]) {
  t.test(`no line is wider than a terminal of ${width} columns`, async (t) => {
    const long = { ...mount, mountpoint: `/mnt/${'x'.repeat(70)}` }
    for (const line of statusTable([long, mount], plain, width).trimEnd().split('\n')) t.ok(line.length <= width, line)
  })
}
