// Our child processes are of two kinds: those that Node started, whose end libuv waits for, and orphans of the daemon, which
// come to us as to their subreaper and which nobody else reaps. A child is known as one of the first kind from its start
// until Node has told its end: reaped by anybody else, that end would never be told.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { reap } from '../native/process.js'
import { childrenOf } from './process.js'

const started = new Set<number>()

/** As `spawn` of node:child_process. All that is started where orphans are reaped is started by this. */
export function startChild(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(program, args, options)
  const { pid } = child
  if (pid !== undefined) {
    started.add(pid)
    child.once('exit', () => started.delete(pid))
  }
  return child
}

/** Those that Node started and whose end it has not told. */
export const startedChildren = (): ReadonlySet<number> => started

/** Reaps the orphans that have ended. @param except one whose end is still to be told */
export function reapOrphans(except?: number): void {
  for (const pid of childrenOf('self')) if (!started.has(pid) && pid !== except) reap(pid)
}
