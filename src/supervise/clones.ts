// Daemons open clones of their channel when their load grows (clone_fd), and what is read from one that no holder has is lost
// with the daemon. So it is looked what the daemon has as soon as anybody has opened the device.
import { closeFd } from '../native/descriptor.js'
import { failedWith } from '../native/error.js'
import { fanotifyEvents, fanotifyOf, takeCausers, UNKNOWN_PID } from '../native/fanotify.js'
import { drainInotify, inotifyEvents, inotifyOf } from '../native/inotify.js'
import { pollEvents } from '../native/poll.js'
import type { Fd, Pid } from '../native/types.js'
import type { Unwatch } from '../native/watch.js'
import { type Recaptured, recapture } from './capturing.js'
import type { ManagedMount } from './managed-mount.js'

/**
 * An opening is told of before who opened has its descriptor, and that becomes a clone a little later; under a load both can
 * take long. So it is looked again, at growing intervals.
 */
const FIRST_LOOK_MS = 1
const LAST_LOOK_MS = 1000
const LONGEST_LOOK_MS = 5000
/**
 * After a look in vain nobody looks for so much longer than it took, where it is not known who has opened the device: others
 * do so too.
 */
const REST = 20
/** What a look took can have been the load of the machine. */
const LONGEST_REST_MS = 200

/** The daemon serves the channel itself: from now on it is followed which clones of it it has. */
export function followClones(m: ManagedMount): void {
  // Who mounts anew keeps no channel.
  if (m.options.revive === 'remount') return
  m.clones ??= new Clones(m)
  m.clones.look()
}

export class Clones {
  private readonly openings: Openings | null = openingsOf('/dev/fuse')
  private readonly unwatch: Unwatch | null
  private timer: NodeJS.Timeout | undefined
  private restsUntil = 0

  constructor(private readonly m: ManagedMount) {
    const { openings } = this
    this.unwatch =
      openings &&
      m.watcher.watch(openings.fd, pollEvents.POLLIN, () => {
        const openers = openings.take()
        const isOurs = openers.has(UNKNOWN_PID) || (m.leader !== null && openers.has(m.leader.pid))
        if (isOurs) this.after(0, FIRST_LOOK_MS)
      })
  }

  /** @param againMs when to look again */
  look(againMs = FIRST_LOOK_MS): void {
    const { m } = this
    clearTimeout(this.timer)
    this.timer = undefined
    if (m.state !== 'serving') return
    const began = performance.now()
    let found: Recaptured = { opened: 0, isSettled: false }
    try {
      found = recapture(m)
    } catch {
      // The daemon or a holder is just ending; whoever watches it will tell.
    }
    const ended = performance.now()
    const rests = found.opened === 0 && this.openings?.tellWho !== true
    this.restsUntil = rests ? ended + Math.min((ended - began) * REST, LONGEST_REST_MS) : 0
    // Where nobody tells of what is opened, it is looked for at intervals.
    if (againMs <= LAST_LOOK_MS || !found.isSettled || this.openings === null)
      this.after(againMs, Math.min(againMs * 2, LONGEST_LOOK_MS))
  }

  close(): void {
    clearTimeout(this.timer)
    this.unwatch?.()
    if (this.openings !== null) closeFd(this.openings.fd)
  }

  /** Several that are opened while it rests are one reason to look. */
  private after(ms: number, againMs: number): void {
    const delay = Math.max(ms, this.restsUntil - performance.now())
    if (delay <= 0) return this.look(againMs)
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.look(againMs), delay).unref()
  }
}

const SOMEBODY: ReadonlySet<Pid> = new Set([UNKNOWN_PID])

/** Somebody has opened a file whenever `fd` is readable. */
interface Openings {
  readonly fd: Fd
  /** True if it is known who. */
  readonly tellWho: boolean
  /** Takes those up to now: who has opened it, UNKNOWN_PID among them if that is not known of all. */
  take(): ReadonlySet<Pid>
}

/** Null where they cannot be told: a user may watch so many files. */
function openingsOf(path: string): Openings | null {
  return byFanotify(path) ?? byInotify(path)
}

function byFanotify(path: string): Openings | null {
  const fd = unless(() => fanotifyOf(path, fanotifyEvents.FAN_OPEN))
  return fd === null ? null : { fd, tellWho: true, take: () => takeCausers(fd) }
}

function byInotify(path: string): Openings | null {
  const fd = unless(() => inotifyOf(path, inotifyEvents.IN_OPEN))
  if (fd === null) return null
  const take = (): ReadonlySet<Pid> => {
    drainInotify(fd)
    return SOMEBODY
  }
  return { fd, tellWho: false, take }
}

/** Null where there is none for this user, on this kernel or any more. */
function unless(open: () => Fd): Fd | null {
  try {
    return open()
  } catch (error) {
    if (failedWith(error, ...wants)) return null
    throw error
  }
}
const wants = 'EMFILE ENFILE ENOSPC ENOMEM ENOSYS EINVAL ENODEV EOPNOTSUPP EXDEV EPERM ENOENT EACCES'.split(' ')
