// Which mount is ours, and what it stays known by when its device number has long been given to somebody else's.
import { isAmong } from '../capture/find-mount.js'
import { channelFdsOf, takeFd } from '../capture/take-channels.js'
import { Connection } from '../kernel/connection.js'
import { connectionOf, type Mount, ownerOf, readFuseMounts } from '../kernel/mountinfo.js'
import { closeFd } from '../native/descriptor.js'
import { failedWith } from '../native/error.js'
import type { Fd, Pid } from '../native/types.js'
import { isAborted } from '../settle/aborted.js'
import { takeChannel } from './capturing.js'
import type { ManagedMount } from './managed-mount.js'

/** Takes a mount that the daemon has just made for ours. */
export function know(m: ManagedMount, mount: Mount): void {
  const { mountpoint, device } = mount
  const connection = connectionOf(device)
  m.mount = { mountpoint, device, connection, owner: ownerOf(mount) }
  m.connection?.close()
  m.connection = Connection.open(connection, () => isAmong(mount, readFuseMounts()))
}

/**
 * Finds the connection of a mount again that is only known by what an earlier supervisor wrote down. It is there as long as
 * its channel shows life.
 * @param server who has the channel as well, if somebody serves
 */
export function recognize(m: ManagedMount, server: Pid | null): void {
  if (!m.mount) return
  const { connection } = m.mount
  const channel = takeChannel(m) ?? (server === null ? null : channelOf(server, connection))
  if (channel === null) return
  m.connection = Connection.open(connection, () => !isAborted(channel))
  closeFd(channel)
}

function channelOf(server: Pid, connection: number): Fd | null {
  try {
    const [fd] = channelFdsOf(server, connection)
    return fd === undefined ? null : takeFd(server, fd)
  } catch (error) {
    if (failedWith(error, 'ESRCH', 'EBADF')) return null
    throw error
  }
}

/** Ours is not there any more: it was unmounted, or is to be. */
export function forget(m: ManagedMount): void {
  m.mount = null
  m.connection?.close()
  m.connection = null
}

/** True while the mount table has our file system, be it a bind mount of it. */
export function isMounted({ mount, connection }: ManagedMount): boolean {
  // In this order: a connection that is there afterwards had its number when the table was read.
  return readFuseMounts().some(({ device }) => device === mount?.device) && (connection?.exists() ?? true)
}
