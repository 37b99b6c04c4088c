// One holder process as its supervisor sees it: start or adopt, hold, take, drop, end. All of it happens within the turn
// that asks, up to a deadline. The program itself stands in src/elf/holder.ts.
import { readdirSync, readlinkSync } from 'node:fs'
import { constants } from 'node:os'
import { executable } from '../elf/executable.js'
import { programs } from '../elf/image.js'
import { startChild } from '../kernel/children.js'
import { argvOf, type ProcessIdentity, startTimeOf } from '../kernel/process.js'
import { closeFd } from '../native/descriptor.js'
import { failedWith } from '../native/error.js'
import { pidfdGetfd, pidfdOpen, pidfdSendSignal } from '../native/pidfd.js'
import { readable, socketpair } from '../native/socket.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'
import { leaveCgroup } from './cgroup.js'
import { command, drain } from './control.js'
import { HolderError } from './error.js'
import { type Placement, place, placementOf } from './placement.js'

/** How long a holder may take to answer, in ms. */
export const ANSWER_DEADLINE = 250
const START_DEADLINE = 5000
const END_DEADLINE = 2000

export class Holder implements ProcessIdentity {
  private constructor(
    readonly pid: Pid,
    /** Field 22 of /proc/PID/stat. */
    readonly startTime: string,
    /** Polls readable once the holder has ended. Ours as long as the holder is; closed by `end` and `release`. */
    readonly pidfd: Fd,
    /** Our copy of its fd 1. */
    readonly socket: Fd,
    private readonly deadlineMs: number,
    /** What could be done to keep it safe. */
    readonly placement: Placement,
  ) {}

  /**
   * Starts a holder that outlives us: own session, `/` as its folder, no environment, no file of ours. It dies with us
   * until it holds its first channel.
   * @param name shown as its argument; `findHolders` finds it by that
   * @throws HolderError `unstartable`
   */
  static start({ name, deadlineMs = ANSWER_DEADLINE }: { name: string; deadlineMs?: number }): Holder {
    const [theirs, ours] = socketpair('dgram')
    let pid: Pid
    try {
      const child = startChild({
        program: executable('holder'),
        argv: [programs.holder.name, name],
        cwd: '/',
        env: {},
        fds: [theirs, ours, null],
        session: true,
      })
      child.unref()
      pid = child.pid
    } catch (error) {
      closeFd(ours)
      throw new HolderError('unstartable', null, 'no process could be made', { cause: error })
    } finally {
      closeFd(theirs)
    }
    return Holder.greet(pid, ours, deadlineMs)
  }

  /** Waits for the first answer of a holder just started, then puts it into its place. */
  private static greet(pid: Pid, socket: Fd, deadlineMs: number): Holder {
    const pidfd = pidfdOpen(pid)
    try {
      command({ pid, pidfd, socket }, 'PING', START_DEADLINE)
      const startTime = startTimeOf(pid)
      if (startTime === null) throw new HolderError('ended', pid)
      return new Holder(pid, startTime, pidfd, socket, deadlineMs, place({ pid, startTime }))
    } catch (error) {
      pidfdSendSignal(pidfd, constants.signals.SIGKILL)
      closeFd(pidfd)
      closeFd(socket)
      throw new HolderError('unstartable', pid, undefined, { cause: error })
    }
  }

  /**
   * Takes up a holder that an earlier supervisor started, by the right to ptrace it. It need not answer for that.
   * @throws HolderError `ended` (also if its pid is now another's), `foreign`, `forbidden`
   */
  static adopt({ pid, startTime }: ProcessIdentity, { deadlineMs = ANSWER_DEADLINE } = {}): Holder {
    let pidfd: Fd | undefined
    try {
      // In this order: the pidfd stays with the process whose start time is then read.
      pidfd = pidfdOpen(pid)
      if (startTimeOf(pid) !== startTime) throw new HolderError('ended', pid)
      if (!isHolder(pid)) throw new HolderError('foreign', pid)
      const socket = pidfdGetfd(pidfd, CONTROL_FD)
      drain(socket)
      return new Holder(pid, startTime, pidfd, socket, deadlineMs, placementOf({ pid, startTime }))
    } catch (error) {
      if (pidfd !== undefined) closeFd(pidfd)
      throw explained(error, pid)
    }
  }

  /**
   * Gives it a copy of a channel to keep; ours stays ours. After an error it must be replaced: it may have the copy.
   * @returns the descriptor in the holder
   * @throws HolderError `ended`, `silent`, `refused`
   */
  hold(channel: Fd): RemoteFd {
    return command(this, 'HOLD', this.deadlineMs, 0, channel) as RemoteFd
  }

  /** A copy of a channel that it keeps, by pidfd_getfd: works also if it is stopped. @throws HolderError `ended`, `forbidden` */
  take(fd: RemoteFd): Fd {
    try {
      return pidfdGetfd(this.pidfd, fd)
    } catch (error) {
      throw explained(error, this.pid)
    }
  }

  /** @throws HolderError `ended`, `silent`, `refused` for an fd it has not got */
  drop(fd: RemoteFd): void {
    command(this, 'DROP', this.deadlineMs, fd)
  }

  /** @throws HolderError `ended`, `silent` */
  ping(): void {
    command(this, 'PING', this.deadlineMs)
  }

  alive(): boolean {
    return readable([this.pidfd], 0).length === 0
  }

  /** Ends it, and all it holds is closed. This object cannot be used any more. */
  end(): void {
    try {
      command(this, 'EXIT', this.deadlineMs)
    } catch {
      pidfdSendSignal(this.pidfd, constants.signals.SIGKILL)
    }
    this.bury()
  }

  /** Ends it without asking. This object cannot be used any more. */
  kill(): void {
    pidfdSendSignal(this.pidfd, constants.signals.SIGKILL)
    this.bury()
  }

  /** Leaves it as it is, for a later supervisor. This object cannot be used any more. */
  release(): void {
    closeFd(this.pidfd)
    closeFd(this.socket)
  }

  private bury(): void {
    readable([this.pidfd], END_DEADLINE)
    leaveCgroup(this)
    this.release()
  }
}

/**
 * The holders that were started under a name: also those that a supervisor was killed before it could write them down.
 * Only those that we may reach.
 */
export function findHolders(name: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const pid = Number(entry) as Pid
    if (!isHolder(pid) || argvOf(pid)[1] !== name) continue
    const startTime = startTimeOf(pid)
    if (startTime !== null) found.push({ pid, startTime })
  }
  return found
}

/** The other end of the holder's socket pair, open in itself. */
const CONTROL_FD = 1 as RemoteFd

function isHolder(pid: Pid): boolean {
  try {
    return (
      readlinkSync(`/proc/${pid}/exe`) === `/memfd:${programs.holder.name} (deleted)` &&
      readlinkSync(`/proc/${pid}/fd/${CONTROL_FD}`).startsWith('socket:')
    )
  } catch (error) {
    if (failedWith(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return false
    throw error
  }
}

/** What a failed pidfd call says about a holder. */
function explained(error: unknown, pid: Pid): unknown {
  if (failedWith(error, 'ESRCH')) return new HolderError('ended', pid, undefined, { cause: error })
  if (failedWith(error, 'EPERM')) return new HolderError('forbidden', pid, undefined, { cause: error })
  if (failedWith(error, 'EBADF')) return new HolderError('lost', pid, undefined, { cause: error })
  return error
}
