import t from 'tap'
import { readArguments } from '../../../src/cli/mirror.js'

const both = { source: 'src', mountpoint: 'mnt' }

const rows: [argv: string[], read: unknown][] = [
  [['src', 'mnt'], both],
  [['-o', 'allow_other', 'src', 'mnt'], { ...both, allowOther: true }],
  [['src', 'mnt', '-o', 'rw,noallow_other'], { ...both, allowOther: false }],
  [['-oallow_other', 'src', 'mnt'], { ...both, allowOther: true }],
  [['--no-allow-other', 'src', 'mnt'], { ...both, allowOther: false }],
  [['--', '-src', '--mnt'], { source: '-src', mountpoint: '--mnt' }],
  [['-', 'mnt'], { source: '-', mountpoint: 'mnt' }],
  [['--help'], ''],
  [['src'], /SOURCE and MOUNTPOINT/],
  [[], /SOURCE and MOUNTPOINT/],
  [['a', 'b', 'c'], /too many: c/],
  [['-o', 'ro', 'a', 'b'], /unknown option ‘ro’/],
  [['--fast', 'a', 'b'], /unknown option ‘--fast’/],
  [['a', 'b', '-o'], /needs a value/],
]
for (const [argv, read] of rows) {
  t.test(`reads mirror ${argv.join(' ')}`, async (t) => {
    if (read instanceof RegExp) t.match(readArguments(argv), read)
    else t.same(readArguments(argv), read)
  })
}
