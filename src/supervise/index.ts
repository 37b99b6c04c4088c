// The supervisor's entry points: what `keepmount run`, `adopt` and `stop` do once their options are read.
import type { EventSink } from './events.js'
import type { MountOptions } from './options.js'

/**
 * Starts the daemon and keeps its mount alive until it is unmounted or this process is told to end. If an earlier
 * supervisor of the same name and command died, its mount is taken up instead.
 * @returns the exit code of the supervisor: the daemon's own, 128+n if signal n ended it, 125 for our own failure
 * @throws KeepmountError if nothing could be started; nothing is left behind then
 */
export async function run(options: MountOptions, emit: EventSink): Promise<number> {
  void options
  void emit
  throw new Error('not yet')
}

/**
 * Takes up the mount of a supervisor that died.
 * @param target a name or a mountpoint
 * @throws KeepmountError NOT_MANAGED, ALREADY_MANAGED, NOTHING_TO_ADOPT
 */
export async function adopt(target: string, emit: EventSink): Promise<number> {
  void target
  void emit
  throw new Error('not yet')
}

/**
 * Ends a managed mount: its daemon, its holders, the mount. Resolves when all of it is gone.
 * @throws KeepmountError NOT_MANAGED
 */
export async function stop(target: string): Promise<void> {
  void target
  throw new Error('not yet')
}
