// Starting a life. The launcher, a program of ours of a few hundred bytes, waits for our word before it becomes the
// daemon: the pid is on record by then, and if we die before that, so does it. No shell, no wrapper stays.
//
//   fd 3  the word, and after it:  fd 3  the channel (a later life), as LISTEN_FDS says
//   fd 4  the channel              fd 4  closed
import { Socket } from 'node:net'
import { executable } from '../elf/executable.js'
import { KeepmountError } from '../errors/error.js'
import { type Child, startChild } from '../kernel/children.js'
import { closeFd } from '../native/descriptor.js'
import { failedWith } from '../native/error.js'
import { sendMessage, socketpair } from '../native/socket.js'
import type { Fd, Pid } from '../native/types.js'
import { fillIn } from './arguments.js'

export interface Launched {
  readonly child: Child
  readonly pid: Pid
  /** Our end of fd 3. */
  readonly word: Socket
  /** Lets the daemon begin. */
  readonly go: () => void
}

export interface Launch {
  /** The daemon's program, found in PATH. */
  readonly path: string
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Handed over as fd 3; null for a life that mounts by itself. */
  readonly channel: Fd | null
}

/**
 * @param before the path and argv of a program of ours that becomes the launcher in its turn, none for the launcher itself
 * @throws KeepmountError COMMAND_NOT_EXECUTABLE if no process can be made
 */
export function launch({ path, argv, cwd, env, channel }: Launch, before: readonly string[] = []): Launched {
  const command = [path, ...fillIn(argv, channel === null ? null : CHANNEL_FD)]
  const [program = '', argv0 = '', ...args] = [...before, executable('launcher'), 'keepmount-launcher', ...command]
  const [ours, theirs] = socketpair('stream')
  try {
    const child = startChild({
      program,
      argv: [argv0, ...args],
      cwd,
      env: environment(env, channel !== null),
      fds: [0, 1, 2, theirs, ...(channel === null ? [] : [channel])],
    })
    const word = new Socket({ fd: ours })
    word.on('error', () => {})
    return { child, pid: child.pid, word, go: () => say(word, ours) }
  } catch (error) {
    closeFd(ours)
    throw new KeepmountError(
      'COMMAND_NOT_EXECUTABLE',
      { command: path, reason: 'no process could be started' },
      { cause: error },
    )
  } finally {
    closeFd(theirs)
  }
}

/** By the descriptor itself: a stream takes its time. One that has ended meanwhile is told of elsewhere. */
function say(word: Socket, fd: Fd): void {
  if (word.destroyed) return
  try {
    sendMessage(fd, Buffer.from('.'))
  } catch (error) {
    if (!failedWith(error, 'EPIPE', 'ECONNRESET')) throw error
  }
  word.destroy()
}

/** Where a daemon that is started the systemd way finds its first descriptor: SD_LISTEN_FDS_START of sd_listen_fds(3). */
const CHANNEL_FD = 3

/** LISTEN_PID is filled in by the launcher, which alone knows it. What was meant for ourselves is not passed on. */
function environment(env: Readonly<Record<string, string>>, hasChannel: boolean): Record<string, string> {
  const { LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES, ...rest } = env
  return hasChannel ? { ...rest, LISTEN_FDS: '1', LISTEN_PID: '0', LISTEN_FDNAMES: 'fuse' } : rest
}
