// A look at a path by a child with a deadline: the path may be on a file system that never answers, and whoever asks it
// cannot even be killed then.
import { spawn } from 'node:child_process'

export interface Seen {
  /** The path with its links followed, where that could be done. */
  readonly path: string
  readonly isFolder: boolean
  /** Why it could not be looked at, as `no such file or directory`. */
  readonly problem: string | null
}

export const LOOK_SECONDS = 5

const program = `
const { realpathSync, statSync } = require('node:fs')
const given = process.argv[1]
let seen
try {
  seen = { path: realpathSync(given), isFolder: statSync(given).isDirectory(), problem: null }
} catch (error) {
  const text = require('node:util').getSystemErrorMap().get(error.errno)
  seen = { path: given, isFolder: false, problem: text ? text[1] : error.message }
}
process.stdout.write(JSON.stringify(seen))`

/** Null if there was no answer in time. */
export function look(path: string): Promise<Seen | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', program, path], {
      cwd: '/',
      env: {},
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let text = ''
    const deadline = setTimeout(() => {
      child.kill('SIGKILL')
      // It may stay for as long as the file system is silent.
      child.unref()
      child.stdout.destroy()
      resolve(null)
    }, LOOK_SECONDS * 1000)
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    child.on('error', reject)
    child.on('close', () => {
      clearTimeout(deadline)
      resolve(text === '' ? null : (JSON.parse(text) as Seen))
    })
  })
}
