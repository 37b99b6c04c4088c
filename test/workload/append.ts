// A log: lines are appended to a file that stays open (O_APPEND), each followed by fsync. At the end every line must be
// there exactly once and in order, through the mount and beneath it.
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { folders, runWorkload } from './workload.js'

await runWorkload('append', () => {
  const { mount, source } = folders()
  const fd = openSync(join(mount, 'append.log'), 'a', 0o644)
  let lines = 0
  const lineOf = (n: number): string => `line ${n} ${'.'.repeat(n % 97)}`
  return {
    step() {
      writeSync(fd, `${lineOf(lines)}\n`)
      lines++
      fsyncSync(fd)
      return undefined
    },
    finish() {
      closeSync(fd)
      return [mount, source].flatMap((folder) => {
        const found = readFileSync(join(folder, 'append.log'), 'utf8').split('\n').slice(0, -1)
        const problems: string[] = []
        if (found.length !== lines) problems.push(`${folder}: ${found.length} lines instead of ${lines}`)
        const odd = found.findIndex((line, n) => line !== lineOf(n))
        if (odd >= 0) problems.push(`${folder}: line ${odd} is ‘${found[odd]}’`)
        return problems
      })
    },
  }
})
