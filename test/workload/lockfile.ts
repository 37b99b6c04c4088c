// Mutual exclusion by O_EXCL: whoever creates the lock file appends one line to a common log and removes the lock file.
// A create that took effect and then reported EEXIST leaves a lock nobody owns; a doubled one lets two in.
import { appendFileSync, closeSync, openSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { failedWith } from '../../src/native/error.js'
import { folders, runWorkload } from './workload.js'

/** Far longer than any pause, and another process needs milliseconds. */
const STALE_MS = 20_000

await runWorkload('lockfile', () => {
  const { mount, source } = folders()
  const lock = join(mount, 'lockfile.lock')
  const log = join(mount, 'lockfile.log')
  const me = String(process.pid)
  let mine = 0
  const lineOf = (n: number): string => `${me} ${n}`

  const acquire = (): boolean => {
    const started = performance.now()
    while (performance.now() - started < STALE_MS) {
      try {
        closeSync(openSync(lock, 'wx'))
        return true
      } catch (error) {
        if (!failedWith(error, 'EEXIST')) throw error
      }
    }
    return false
  }
  return {
    step() {
      if (!acquire()) {
        unlinkSync(lock)
        return `nobody gave the lock back within ${STALE_MS} ms`
      }
      appendFileSync(log, `${lineOf(mine++)}\n`)
      unlinkSync(lock)
      return undefined
    },
    finish() {
      return [mount, source].flatMap((folder) => {
        const found = readFileSync(join(folder, 'lockfile.log'), 'utf8')
          .split('\n')
          .filter((line) => line.startsWith(`${me} `))
        const odd = found.findIndex((line, n) => line !== lineOf(n))
        if (odd >= 0) return [`${folder}: effect ${odd} is ‘${found[odd]}’`]
        return found.length === mine ? [] : [`${folder}: ${found.length} effects instead of ${mine}`]
      })
    },
  }
})
