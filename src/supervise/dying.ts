// A life that has been killed and cannot end. A daemon that dies with a file of its own mount open (go-fuse opens one when it
// starts) closes that file before its channel, and waits for an answer that only itself could give: until the connection of its
// decoy is aborted, it is neither dead nor alive.
import { readdirSync, readFileSync } from 'node:fs'
import { isAmong } from '../capture/find-mount.js'
import { abortConnection } from '../kernel/connection.js'
import { connectionOf, isFuse } from '../kernel/mountinfo.js'
import { closeFd } from '../native/descriptor.js'
import { threadPidfd } from '../native/pidfd.js'
import { pollEvents } from '../native/poll.js'
import type { ManagedMount } from './managed-mount.js'
import type { Seeking } from './seeking.js'

/** What a process that ends in order needs at most between the end of its first thread and that of its last. */
const PATIENCE_MS = 100
/** Source: include/linux/sched.h */
const PF_EXITING = 4

/** Ends the decoy of a life that is stuck in its end. */
export function freeWhenStuck(m: ManagedMount, { pid, namespace, signal }: Seeking): void {
  const thread = threadPidfd(pid)
  if (thread === undefined) return
  const stop = (): void => {
    unwatch()
    closeFd(thread)
    signal.removeEventListener('abort', stop)
  }
  const unwatch = m.watcher.watch(thread, pollEvents.POLLIN, () => {
    stop()
    setTimeout(() => {
      if (signal.aborted || !isEnding(pid)) return
      for (const mount of namespace.mounts())
        if (isFuse(mount.type) && mount.mountpoint === m.mount?.mountpoint && mount.device !== m.mount.device)
          abortConnection(connectionOf(mount.device), () => isAmong(mount, namespace.mounts()))
    }, PATIENCE_MS).unref()
  })
  signal.addEventListener('abort', stop)
}

/** True if all threads that are left of a process are in their end. */
function isEnding(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((tid) => {
      const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1')
      const [, , , , , , flags] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return (Number(flags) & PF_EXITING) !== 0
    })
  } catch {
    // It has ended.
    return false
  }
}
