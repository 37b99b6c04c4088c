// The beginning of a life: it is on record and watched before it gets the word to go.
import type { Fd } from '../native/types.js'
import { type Launched, launch } from '../revive/launch.js'
import type { ManagedMount } from './managed-mount.js'
import { follow } from './watching.js'

/** Starts a life that mounts by itself, or is handed the channel. */
export function startLife(m: ManagedMount, channel: Fd | null): void {
  const { argv, cwd, env } = m.options
  const launched = launch({ path: m.path, argv, cwd, env, channel })
  beginLife(m, launched)
  launched.go()
}

/** Takes a process that waits for the word as the present life. */
export function beginLife(m: ManagedMount, { child, pid }: Launched): void {
  m.startedAt = performance.now()
  m.launched.add(pid)
  void child.ended.then(() => m.launched.delete(pid))
  m.adopted = false
  follow(m, pid)
}
