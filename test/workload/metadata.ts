// Names come and go: make a folder, a file in it, rename, link, symlink and remove them again, with the exact result
// known at each point. An operation done twice shows as EEXIST or ENOENT, one not done as a wrong listing.
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { folders, runWorkload } from './workload.js'

await runWorkload('metadata', () => {
  const { mount, source } = folders()
  const home = join(mount, 'metadata')
  mkdirSync(home)
  let turn = 0
  return {
    step() {
      const folder = join(home, `d${turn}`)
      const text = `turn ${turn++}`
      const [a, b, c, s] = ['a', 'b', 'c', 's'].map((name) => join(folder, name)) as [string, string, string, string]
      mkdirSync(folder)
      const fd = openSync(a, 'wx')
      writeSync(fd, text)
      closeSync(fd)
      renameSync(a, b)
      linkSync(b, c)
      symlinkSync('b', s)
      const seen = [
        readdirSync(folder).sort().join(),
        readlinkSync(s),
        String(statSync(c).nlink),
        readFileSync(s, 'utf8'),
      ].join(' ')
      truncateSync(c, 4)
      const cut = readFileSync(b, 'utf8')
      unlinkSync(b)
      const left = statSync(c).nlink
      unlinkSync(c)
      unlinkSync(s)
      rmdirSync(folder)
      if (seen !== `b,c,s b 2 ${text}`) return `a folder showed ‘${seen}’ instead of ‘b,c,s b 2 ${text}’`
      if (cut !== 'turn') return `a truncated file held ‘${cut}’ instead of ‘turn’`
      if (left !== 1) return `${left} links were left instead of 1`
      return undefined
    },
    finish: () =>
      [join(source, 'metadata'), home].flatMap((folder) => {
        const left = readdirSync(folder)
        return left.length > 0 ? [`${folder}: ${left.join()} left over`] : []
      }),
  }
})
