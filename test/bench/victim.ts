// The application of (b) and (c): MOUNT. It has a file open, kills the daemon or starts one when it is told, and then tries
// one operation after the other until the mount has answered, which it times itself. statfs(2) always asks the daemon.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fsyncSync, openSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { pollEvents, pollOnce } from '../../src/native/poll.js'

export type Order =
  /** Kill this process and wait for the mount. */
  | { readonly kind: 'kill'; readonly pid: number }
  /** Start this daemon, wait for the mount, and end the daemon again. */
  | { readonly kind: 'start'; readonly argv: readonly string[] }

export interface Outcome {
  /** From the kill, or the start, to the first operation that the mount has answered. */
  readonly ms: number
  /** Operations that failed in between. */
  readonly failed: number
  /** Operations that were answered by the folder beneath the mount, as if it were empty. */
  readonly beneath: number
  /** What the file that was open before says now: `works` or the code of its error; null after a start. */
  readonly open_file: string | null
}

const FUSE_SUPER_MAGIC = 0x65735546
/** A failed operation is tried again when a mount comes or goes, and after that long at the latest. */
const AGAIN_MS = 1

const [mount = ''] = process.argv.slice(2)
const mounts = openSync('/proc/self/mountinfo', 'r')

process.on('message', async (order: Order) => {
  process.send?.(await (order.kind === 'kill' ? afterKill(order.pid) : afterStart(order.argv)))
})
process.on('disconnect', () => process.exit())
// Code that has run once is faster the second time, and that is not what is measured.
untilServed(performance.now(), false)
process.send?.('ready')

async function afterKill(pid: number): Promise<Outcome> {
  const fd = openSync(join(mount, 'open-file'), 'w')
  writeSync(fd, 'before')
  const started = performance.now()
  process.kill(pid, 'SIGKILL')
  const outcome = untilServed(started, true)
  return { ...outcome, open_file: stateOf(fd) }
}

async function afterStart([command = '', ...rest]: readonly string[]): Promise<Outcome> {
  const started = performance.now()
  const daemon: ChildProcess = spawn(command, rest, { stdio: 'ignore', cwd: '/' })
  const outcome = untilServed(started, true)
  const ended = once(daemon, 'exit')
  daemon.kill('SIGTERM')
  await ended
  return { ...outcome, open_file: null }
}

/** Blocks. Without `wait`, until anything answers. */
function untilServed(started: number, wait: boolean): Omit<Outcome, 'open_file'> {
  let failed = 0
  let beneath = 0
  for (;;) {
    try {
      const { type } = statfsSync(mount)
      if (type === FUSE_SUPER_MAGIC || !wait) return { ms: performance.now() - started, failed, beneath }
      beneath++
    } catch {
      failed++
    }
    pollOnce(mounts, pollEvents.POLLPRI, AGAIN_MS)
  }
}

function stateOf(fd: number): string {
  try {
    writeSync(fd, 'after')
    fsyncSync(fd)
    return 'works'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  } finally {
    try {
      closeSync(fd)
    } catch {
      // a file of a mount that is gone has nothing more to say
    }
  }
}
