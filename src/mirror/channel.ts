// The channel: inherited from whoever kept it, or opened and mounted by the first life.
import { readlinkSync } from 'node:fs'
import { errnoText, SyscallError } from '../native/error.js'
import { cstring } from '../native/ffi.js'
import { addStatusFlags, close, setCloseOnExec } from '../native/files.js'
import { mount, mountFlags } from '../native/mount.js'
import { atFlags, openFlags } from '../native/open-flags.js'
import { openAt } from '../native/tree.js'
import { MirrorError } from './messages.js'
import { rootMode, type Source } from './source.js'

/** The type of the mount, as mountinfo has it. */
export const MOUNT_TYPE = 'fuse.mirrorfs'

export interface Channel {
  readonly fd: number
  readonly inherited: boolean
}

/** The first descriptor that is handed over. Source: sd_listen_fds(3). */
const LISTEN_FDS_START = 3

/**
 * Takes up the channel that this process was started with, by systemd's protocol: LISTEN_PID is us, LISTEN_FDS says how
 * many descriptors from 3 on, LISTEN_FDNAMES what the first is. Null if there is none.
 * @throws MirrorError BAD_CHANNEL
 */
export function inheritChannel(env: NodeJS.ProcessEnv): Channel | null {
  if (env.LISTEN_PID !== String(process.pid) || !(Number(env.LISTEN_FDS) >= 1)) return null
  if (env.LISTEN_FDNAMES !== undefined && env.LISTEN_FDNAMES.split(':')[0] !== 'fuse') return null
  const link = linkOf(LISTEN_FDS_START)
  if (link !== DEVICE) throw new MirrorError('BAD_CHANNEL', link ?? 'it is not open')
  setCloseOnExec(LISTEN_FDS_START)
  addStatusFlags(LISTEN_FDS_START, openFlags.O_NONBLOCK)
  return { fd: LISTEN_FDS_START, inherited: true }
}

/**
 * Opens a channel and mounts it.
 * @throws MirrorError NO_FUSE_DEVICE, CANNOT_MOUNT
 */
export function mountChannel(source: Source, mountpoint: string, allowOther: boolean): Channel {
  const { O_RDWR, O_CLOEXEC, O_NONBLOCK } = openFlags
  const fd = openAt(atFlags.AT_FDCWD, cstring(DEVICE), O_RDWR | O_CLOEXEC | O_NONBLOCK)
  if (fd < 0) throw new MirrorError('NO_FUSE_DEVICE', errnoText(-fd))
  const data = [
    `fd=${fd}`,
    `rootmode=${rootMode(source.fd)}`,
    `user_id=${process.getuid?.() ?? 0}`,
    `group_id=${process.getgid?.() ?? 0}`,
    'default_permissions',
    ...(allowOther ? ['allow_other'] : []),
  ].join(',')
  try {
    mount(source.path, mountpoint, MOUNT_TYPE, mountFlags.MS_NOSUID | mountFlags.MS_NODEV, data)
  } catch (error) {
    close(fd)
    if (error instanceof SyscallError) throw new MirrorError('CANNOT_MOUNT', error.message)
    throw error
  }
  return { fd, inherited: false }
}

const DEVICE = '/dev/fuse'

function linkOf(fd: number): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return null
  }
}
