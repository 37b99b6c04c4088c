// Daemons open clones of their channel when their load grows (clone_fd), and what is read from one that no holder has is lost
// with the daemon. So it is looked what the daemon has as soon as anybody has opened the device.
import { closeFd } from '../native/descriptor.js'
import { failedWith } from '../native/error.js'
import { drainInotify, inotifyEvents, inotifyOf } from '../native/inotify.js'
import { pollEvents } from '../native/poll.js'
import type { Fd } from '../native/types.js'
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
/** After a look in vain nobody looks for so much longer than it took: others open the device too. */
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
  private readonly opened: Fd | null = openings()
  private readonly unwatch: Unwatch | null
  private timer: NodeJS.Timeout | undefined
  private restsUntil = 0

  constructor(private readonly m: ManagedMount) {
    const { opened } = this
    this.unwatch =
      opened &&
      m.watcher.watch(opened, pollEvents.POLLIN, () => {
        drainInotify(opened)
        this.after(0, FIRST_LOOK_MS)
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
    this.restsUntil = found.opened > 0 ? 0 : ended + Math.min((ended - began) * REST, LONGEST_REST_MS)
    // Where nobody tells of what is opened, it is looked for at intervals.
    if (againMs <= LAST_LOOK_MS || !found.isSettled || this.opened === null)
      this.after(againMs, Math.min(againMs * 2, LONGEST_LOOK_MS))
  }

  close(): void {
    clearTimeout(this.timer)
    this.unwatch?.()
    if (this.opened !== null) closeFd(this.opened)
  }

  /** Several that are opened while it rests are one reason to look. */
  private after(ms: number, againMs: number): void {
    const delay = Math.max(ms, this.restsUntil - performance.now())
    if (delay <= 0) return this.look(againMs)
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.look(againMs), delay).unref()
  }
}

/** Null where it cannot be had: a user may have so many of them. */
function openings(): Fd | null {
  try {
    return inotifyOf('/dev/fuse', inotifyEvents.IN_OPEN)
  } catch (error) {
    if (failedWith(error, 'EMFILE', 'ENFILE', 'ENOSPC', 'ENOMEM', 'ENOSYS', 'ENOENT', 'EACCES')) return null
    throw error
  }
}
