// The mount's channels between the daemon and the holders: taken from the one, kept by the others, fetched back.
import { channelFdsOf, fuseFilesOf, isSame, takeFd } from '../capture/take-channels.js'
import { closeFd } from '../native/descriptor.js'
import { failedWith } from '../native/error.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'
import type { ManagedMount } from './managed-mount.js'

/** Copies the daemon's channels into the holders. False if the daemon is gone. */
export function capture(m: ManagedMount): boolean {
  if (!m.mount || !m.leader) return false
  const { pid } = m.leader
  for (const remote of channelFdsOf(pid, m.mount.connection)) if (!hold(m, pid, remote)) return false
  if (m.holders.channels().length === 0) return false
  m.watchHolders()
  m.emit('held', { holders: m.holders.pids(), channels: m.holders.channels().length })
  return true
}

/**
 * Holds clones that the daemon has opened since, and lets go of those that it has closed. What it has opened and not made a
 * clone yet is held as well: it is the same open file afterwards.
 */
export function recapture(m: ManagedMount): Recaptured {
  const nothing = { opened: 0, isSettled: true }
  if (!m.mount || !m.leader) return nothing
  const { pid } = m.leader
  const { channels, coming } = fuseFilesOf(pid, m.mount.connection)
  const [witness] = m.holders.records()
  if (channels.length === 0 || !witness) return nothing
  const present = [...channels, ...coming]
  const held = m.holders.channels().map((channel, i) => ({ channel, fd: witness.fds[i] as RemoteFd }))
  const isHeld = (remote: RemoteFd) => held.some(({ fd }) => isSame(witness.pid, fd, pid, remote))
  const isPresent = (fd: RemoteFd) => present.some((remote) => isSame(witness.pid, fd, pid, remote))
  const opened = present.filter((remote) => !isHeld(remote))
  const closed = held.filter(({ fd }) => !isPresent(fd))
  for (const remote of opened) hold(m, pid, remote)
  for (const { channel } of closed) if (m.holders.channels().length > 1) m.holders.drop(channel)
  if (opened.length + closed.length > 0) m.save()
  return { opened: opened.length, isSettled: coming.length === 0 }
}

export interface Recaptured {
  /** How many are held that were not. */
  readonly opened: number
  /** False if one is no clone yet: it may become the channel of another mount, and must be let go of then. */
  readonly isSettled: boolean
}

/** A channel from a holder, for us to use and close; null if no holder has one. */
export function takeChannel(m: ManagedMount): Fd | null {
  const [channel] = m.holders.channels()
  return channel ? m.holders.take(channel) : null
}

/** False if the daemon or its descriptor is gone. */
function hold(m: ManagedMount, pid: Pid, remote: RemoteFd): boolean {
  let fd: Fd
  try {
    fd = takeFd(pid, remote)
  } catch (error) {
    if (failedWith(error, 'ESRCH', 'EBADF')) return false
    throw error
  }
  try {
    m.holders.hold(fd)
    return true
  } finally {
    closeFd(fd)
  }
}
