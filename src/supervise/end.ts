// The end of a managed mount: nothing of it is left, whatever state it was in.
import { reapOrphans } from '../kernel/children.js'
import { signalName } from '../native/signals.js'
import { endRelay } from './grafting.js'
import { killFamily } from './life.js'
import type { ManagedMount } from './managed-mount.js'
import { unmountOurs } from './unmount.js'

/**
 * @param error why the supervisor ends, if the daemon is not the reason
 * @param keepFolder the state folder and its lock stay, for a new start
 */
export function end(m: ManagedMount, { error, keepFolder = false }: { error?: unknown; keepFolder?: boolean }): void {
  if (m.state === 'ended') return
  m.state = 'ended'
  const leavesDeadMount = m.gaveUp && m.options.onGiveUp === 'abort'
  m.connection?.abort()
  if (!leavesDeadMount) unmountOurs(m)
  // What keeps it from ending ends with the seeking, and after it no thread can make another such thing.
  m.life?.signal(SIGKILL)
  m.seeking?.end()
  m.life?.kill()
  m.closing = Promise.all([m.closing, m.follower?.idle])
  endRelay(m)
  killFamily(m.helpers())
  for (const { child } of m.probers) child.kill()
  reapOrphans()
  m.release()
  m.holders.end()
  if (keepFolder) return
  m.folder.remove()
  if (error) return m.fail(error)
  const exit = exitCode(m)
  m.emit('stopped', { code: m.lastExit?.code ?? null, signal: signalName(m.lastExit?.signal ?? null), exit })
  m.finish(exit)
}

/**
 * As the daemon's, as a shell shows it. Our own failure if we gave up and the daemon's end does not show it; an end that
 * the kernel does not tell is taken for a good one.
 */
function exitCode({ lastExit, gaveUp }: ManagedMount): number {
  const code = lastExit?.signal ? 128 + lastExit.signal : (lastExit?.code ?? 0)
  return gaveUp && code === 0 ? OWN_FAILURE : code
}

const OWN_FAILURE = 125
const SIGKILL = 9
