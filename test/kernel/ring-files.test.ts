// What io_uring's fdinfo tells of registered files, in the two ways that kernels do.
import t from 'tap'
import { isWhole, mayBe, ringFiles } from '../../src/kernel/ring-files.js'

const info = (...names: string[]): string =>
  [
    'SQEs:\t1',
    '    0: opcode:0, fd:3, flags:0',
    'CQEs:\t0',
    `UserFiles:\t${names.length}`,
    ...names.map((name, i) => `${String(i).padStart(5)}: ${name}`),
    'UserBufs:\t1',
    '    0: 0x7f00/4096',
    'PollList:',
    '',
  ].join('\n')

t.test('the files of the list, and nothing else that is numbered', async (t) => {
  t.same(ringFiles(info('/dev/fuse', 'socket:[12]', '')), ['/dev/fuse', 'socket:[12]', ''])
  t.same(ringFiles(info()), [])
  t.same(ringFiles(''), [])
})

for (const [what, names, whole] of [
  [
    'Linux 6.13 and later',
    ['/dev/fuse', 'socket:[12]', 'anon_inode:[eventfd]', 'pipe:[13]', '/memfd:x (deleted)'],
    true,
  ],
  ['before that', ['fuse', 'UNIX', '[eventfd]', '', 'x:y'], false],
] as const)
  t.test(`${what}: the channel is known, and what may be another file`, async (t) => {
    t.same(
      names.map(isWhole),
      names.map(() => whole),
    )
    t.same(
      names.map((name) => mayBe(name, '/dev/fuse')),
      [true, false, false, false, false],
    )
    t.same(
      names.map((name) => mayBe(name, 'socket:[12]')),
      [false, true, false, false, false],
    )
    t.equal(mayBe(names[1], 'socket:[14]'), !whole, 'a socket by its number, or any')
  })
