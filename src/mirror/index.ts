// mirrorfs: a read-write mirror of a folder, served on /dev/fuse, which goes on serving after kill -9 once it is started
// again with its channel. It is the example of a recovery-aware daemon. What makes it one:
//
//   1. Take the channel that is handed over (channel.ts). LISTEN_PID is our pid, LISTEN_FDS=1, LISTEN_FDNAMES=fuse: the
//      mount is there and its channel is descriptor 3. Without them mount as ever.
//   2. Do not wait for INIT (session.ts, negotiated.ts). It came to an earlier life. What was negotiated is a constant,
//      so it need not be remembered. If it does come, answer it: the earlier life died before it had.
//   3. The same nodeid for the same file in every life (nodes.ts, handle-types.ts). Here it is the file handle of
//      name_to_handle_at(2); a daemon with a database has row numbers, one with paths can keep a log. A nodeid that was
//      given out never names another file.
//   4. Reopen what an earlier life had open (open-files.ts). READ and WRITE carry nodeid and open flags. Put the number
//      of the life into `fh`, so that an old one is never taken for a new one. Never create, truncate or append again.
//   5. Settle resent requests (once.ts, intent.ts). Bit 63 of `unique` says that an earlier life may have done it. Write
//      down what tells afterwards whether a change was made, before making it.
//   6. Keep alive what only the kernel holds (removing.ts, private-folder.ts): an unlinked open file has no name to be
//      found by. Count FORGET (nodes.ts), and do not expect those that an earlier life has eaten (sweep.ts).
//   7. Read one request, answer it, read the next (serve.ts): the fewer are in our hands, the fewer are to be settled.
//
// Locks need nothing: flock and fcntl locks are the kernel's as long as FUSE_FLOCK_LOCKS and FUSE_POSIX_LOCKS are not
// negotiated.
import { resolve } from 'node:path'
import { readMounts } from '../kernel/mountinfo.js'
import { keepCapabilities, raiseFileLimit } from '../native/credentials.js'
import { errnoText, failedWith } from '../native/error.js'
import { umount, umountFlags } from '../native/mount.js'
import { type Channel, inheritChannel, MOUNT_TYPE, mountChannel } from './channel.js'
import { MirrorError } from './messages.js'
import { Mirror, type OnStep } from './mirror.js'
import { type End, serve } from './serve.js'
import { openSource } from './source.js'

export interface MirrorOptions {
  /** The folder to mirror. */
  readonly source: string
  /** An existing folder. It is not touched by a life that inherits its channel. */
  readonly mountpoint: string
  /** Whether other users may use the mount, as the files' modes allow; true if absent. */
  readonly allowOther?: boolean
  /** Called between the steps of serving a request: a test ends the process there. */
  readonly onStep?: OnStep
}

/**
 * Mounts and serves a mirror, or serves one whose channel was handed over, until it is unmounted or one of SIGTERM,
 * SIGINT and SIGHUP comes, on which it unmounts it. Takes the thread for itself.
 * @returns the exit code: 0 after an unmount, 1 with a message on stderr otherwise
 */
export async function mirror(options: MirrorOptions): Promise<number> {
  try {
    return await run(options)
  } catch (error) {
    if (!(error instanceof MirrorError)) throw error
    process.stderr.write(`mirrorfs: ${error.message}\n  ${error.remedy}\n`)
    return 1
  }
}

async function run({ source, mountpoint, allowOther = true, onStep }: MirrorOptions): Promise<number> {
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  const path = resolve(mountpoint)
  const inherited = inheritChannel(process.env)
  if (keepCapabilities() < 0) throw new MirrorError('NO_RIGHTS', 'CAP_SETPCAP')
  const tree = openSource(source)
  const state = new Mirror(tree, path, raiseFileLimit(), onStep)
  const channel = inherited ?? mountFresh(state, path, allowOther)
  const end = await serve(state, channel.fd, stop.signal)
  if (end.kind === 'stopped') unmount(path)
  if (end.kind !== 'failed') state.folder.remove()
  return exitCode(end)
}

/** Over a mirror whose life has ended a new one must not mount: the old one's files would be taken for left-overs. */
function mountFresh(state: Mirror, mountpoint: string, allowOther: boolean): Channel {
  const topmost = readMounts().findLast((mount) => mount.mountpoint === mountpoint)
  if (topmost?.type === MOUNT_TYPE) throw new MirrorError('ALREADY_MIRRORED', `${mountpoint} carries one`)
  try {
    return mountChannel(state.source, mountpoint, allowOther)
  } catch (error) {
    state.folder.remove()
    throw error
  }
}

/** Whoever still uses the mount keeps it until the channel is closed, which is when we exit. */
function unmount(mountpoint: string): void {
  try {
    umount(mountpoint, umountFlags.MNT_DETACH | umountFlags.UMOUNT_NOFOLLOW)
  } catch (error) {
    if (!failedWith(error, 'EINVAL', 'ENOENT')) throw error
  }
}

function exitCode(end: End): number {
  if (end.kind === 'aborted') throw new MirrorError('ABORTED', 'its requests fail with ENOTCONN')
  if (end.kind === 'failed') throw new MirrorError('BAD_CHANNEL', errnoText(end.errno))
  return 0
}
