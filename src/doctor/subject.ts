// A child to try things on that are done to daemons and holders. It waits for its stdin, and dies with us.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type ProcessIdentity, startTimeOf } from '../kernel/process.js'
import type { Pid } from '../native/types.js'

/** Runs `work` with a fresh child and ends the child afterwards. */
export async function withSubject<Result>(
  work: (subject: ProcessIdentity) => Result | Promise<Result>,
): Promise<Result> {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
    cwd: '/',
    env: {},
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  await once(child, 'spawn')
  try {
    return await work(identityOf(child))
  } finally {
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
}

function identityOf({ pid }: ChildProcess): ProcessIdentity {
  const startTime = pid === undefined ? null : startTimeOf(pid as Pid)
  if (pid === undefined || startTime === null) throw new Error('the child has died')
  return { pid: pid as Pid, startTime }
}
