// A process whose working folder is inside the mount, and which names everything relative to it.
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../fixtures/deadline.js'
import { folders, isHidden, runWorkload } from './workload.js'

await runWorkload('cwd', () => {
  const { mount } = folders()
  const home = join(mount, 'cwd/inner')
  mkdirSync(home, { recursive: true })
  process.chdir(home)
  const { ino } = statSync('.')
  let turn = 0
  return {
    async step() {
      const text = `here ${turn++}`
      writeFileSync('new', text)
      renameSync('new', '../current')
      const seen = readFileSync('../current', 'utf8')
      const listed = [readdirSync('.').join(), (await withoutHidden('..')).join()].join(' ')
      unlinkSync('../current')
      if (seen !== text) return `the file held ‘${seen}’ instead of ‘${text}’`
      if (listed !== ' current,inner') return `the folders listed ‘${listed}’`
      if (process.cwd() !== home) return `the working folder is ${process.cwd()}`
      if (statSync('.').ino !== ino) return `the working folder’s inode changed`
      return undefined
    },
  }
})

async function withoutHidden(folder: string): Promise<string[]> {
  let names: string[] = []
  const areShown = (): boolean => {
    names = readdirSync(folder).sort()
    return !names.some(isHidden)
  }
  await until(areShown, 'a folder without hidden files')
  return names
}
