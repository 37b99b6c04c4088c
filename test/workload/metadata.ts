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
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { failedWith } from '../../src/native/error.js'
import { until } from '../fixtures/deadline.js'
import { folders, isHidden, runWorkload } from './workload.js'

await runWorkload('metadata', () => {
  const { mount, source } = folders()
  const home = join(mount, 'metadata')
  mkdirSync(home)
  const { linked } = ways(home)
  let turn = 0
  return {
    async step() {
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
      const seen = [readdirSync(folder).sort().join(), readlinkSync(s), readFileSync(s, 'utf8')].join(' ')
      const links = statSync(c).nlink
      truncateSync(c, 4)
      const cut = readFileSync(b, 'utf8')
      unlinkSync(b)
      const left = statSync(c).nlink
      unlinkSync(c)
      unlinkSync(s)
      await removeFolder(folder)
      const expected = `b,c,s b ${text}`
      if (seen !== expected) return `a folder showed ‘${seen}’ instead of ‘${expected}’`
      if (cut !== 'turn') return `a truncated file held ‘${cut}’ instead of ‘turn’`
      if (links !== linked) return `a file showed ${links} links instead of ${linked}`
      if (left !== 1) return `${left} links were left instead of 1`
      return undefined
    },
    finish: () =>
      [join(source, 'metadata'), home].flatMap((folder) => {
        const left = readdirSync(folder).map((name) => join(folder, name))
        return left.map((path) => {
          const names = readdirSync(path)
          const areHidden = names.length > 0 && names.every(isHidden)
          return `${areHidden ? 'hidden files' : `‘${names.join()}’`} left over in ${path}`
        })
      }),
  }
})

/** What a daemon has its own ways in, tried before anybody is killed: how many links it shows of a file with two names. */
function ways(home: string): { linked: number } {
  const [one, two] = [join(home, 'one'), join(home, 'two')]
  writeFileSync(one, '')
  let linked = 2
  try {
    linkSync(one, two)
    linked = statSync(two).nlink
    unlinkSync(two)
  } catch {
    // One that cannot link says so in each step.
  }
  unlinkSync(one)
  return { linked }
}

async function removeFolder(folder: string): Promise<void> {
  const isRemoved = (): boolean => {
    try {
      rmdirSync(folder)
      return true
    } catch (error) {
      if (!failedWith(error, 'ENOTEMPTY')) throw error
      const others = readdirSync(folder).filter((name) => !isHidden(name))
      if (others.length > 0) throw new Error(`${others.join()} left in a folder that is to be empty`)
      return false
    }
  }
  await until(isRemoved, 'a folder without hidden files')
}
