// Asking a mount for an answer without touching it: a child of ours calls statfs(2) on it, which FUSE passes on to the
// daemon, and exits with the errno. The child may hang as long as the daemon does; we do not.
import { executable } from '../elf/executable.js'
import { type Child, startChild } from '../kernel/children.js'

export interface Prober {
  readonly child: Child
  /** Its answer does not count any more: a life that has died may have read its request. */
  stale: boolean
  /** The errno of statfs, 0 for success; null if the child was killed. */
  readonly answer: Promise<number | null>
}

/** @throws SyscallError if no process can be had */
export function startProber(mountpoint: string): Prober {
  const child = startChild({
    program: executable('prober'),
    argv: ['keepmount-prober', mountpoint],
    cwd: '/',
    env: {},
    fds: [null, null, null],
  })
  return { child, answer: child.ended.then(({ code }) => code), stale: false }
}
