import t from 'tap'
import { fillIn } from '../../src/revive/arguments.js'

const rows = [
  { argv: ['d', '/mnt'], first: ['d', '/mnt'], later: ['d', '/mnt'] },
  { argv: ['d', '--fd={fd}', '/mnt'], first: ['d', '/mnt'], later: ['d', '--fd=3', '/mnt'] },
  { argv: ['d', '--fd', '{fd}', '/mnt'], first: ['d', '/mnt'], later: ['d', '--fd', '3', '/mnt'] },
  { argv: ['d', '/a', '{fd}'], first: ['d', '/a'], later: ['d', '/a', '3'] },
  { argv: ['d', '-o', 'x,fd={fd}'], first: ['d', '-o'], later: ['d', '-o', 'x,fd=3'] },
]

for (const { argv, first, later } of rows)
  t.test(argv.join(' '), async (t) => {
    t.strictSame(fillIn(argv, null), first, 'the first life has no channel')
    t.strictSame(fillIn(argv, 3), later)
  })
