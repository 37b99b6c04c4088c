import t from 'tap'
import { refuseAutoUnmount } from '../../src/preflight/auto-unmount.js'

const refused: string[][] = [
  ['-o', 'auto_unmount'],
  ['-o', 'ro,auto_unmount,allow_other'],
  ['-oauto_unmount'],
  ['-oro,auto_unmount'],
  ['-o=auto_unmount'],
  ['-fo', 'auto_unmount'],
  ['--auto-unmount'],
  ['--auto_unmount'],
  ['-auto_unmount'],
  ['--auto-unmount=true'],
  ['--option=auto_unmount'],
  ['--option', 'auto_unmount'],
  ['--options', 'ro,auto_unmount'],
  ['--opt=ro,auto_unmount'],
  ['--fuse-flag=-oauto_unmount'],
  ['--fuse-flag', 'auto_unmount'],
]
for (const argv of refused) {
  t.test(`refuses ${argv.join(' ')}`, async (t) => {
    t.throws(() => refuseAutoUnmount({ argv: ['daemon', ...argv, 'src', 'mnt'] }), {
      code: 'AUTO_UNMOUNT',
      facts: { argument: argv.at(-1) },
    })
  })
}

const taken: string[][] = [
  ['-o', 'noauto_unmount'],
  ['-onoauto_unmount,ro'],
  ['--no-auto-unmount'],
  ['--auto-unmount=false'],
  ['-o', 'fsname=auto_unmount'],
  ['auto_unmount', 'mnt'],
  ['src', '/mnt/auto_unmount'],
  ['-f', 'auto_unmount'],
  ['-s', 'a,auto_unmount,b'],
]
for (const argv of taken) {
  t.test(`takes ${argv.join(' ')}`, async (t) => {
    t.doesNotThrow(() => refuseAutoUnmount({ argv: ['auto_unmount', ...argv] }))
  })
}
