// Asking a mount for an answer without touching it: a child of ours calls statfs(2) on it, which FUSE passes on to the
// daemon, and exits with the errno. The child may hang as long as the daemon does; we do not.
import type { ChildProcess } from 'node:child_process'
import { executable } from '../elf/executable.js'
import { startChild } from '../kernel/children.js'

export interface Prober {
  readonly child: ChildProcess
  /** Its answer does not count any more: a life that has died may have read its request. */
  stale: boolean
  /** The errno of statfs, 0 for success; null if the child was killed. */
  readonly answer: Promise<number | null>
}

export function startProber(mountpoint: string): Prober {
  const child = startChild(executable('prober'), [mountpoint], {
    argv0: 'keepmount-prober',
    cwd: '/',
    stdio: 'ignore',
    env: {},
  })
  const answer = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code))
    child.once('error', () => resolve(null))
  })
  return { child, answer, stale: false }
}
