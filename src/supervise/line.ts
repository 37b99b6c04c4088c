// The line between the kernel and a life that is to be grafted: the mount's channel, the relay, and a pair of sockets of which
// the life gets one end in the place of its own channel. Where what the relay reads can be sent again, it begins as soon as the
// life has mounted its decoy: what it sends until the life has its end is there when that is read.
import { linkTextOf } from '../graft/descriptors.js'
import { closeFd, duplicateFd } from '../native/descriptor.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'
import { type Relay, relaySockets } from '../relay/index.js'
import { takeChannel } from './capturing.js'
import { daemonFamily } from './life.js'
import type { ManagedMount } from './managed-mount.js'

export class Line {
  /** What procfs calls the life's end, `socket:[…]`: who has it open serves. */
  readonly socket: string
  /** Keeps the life's end from hanging up before the life has seen the kernel close the channel. */
  readonly kept: Fd
  /** What the daemon has answered through the relay, 0 or an errno; null if the relay has ended before. Null until it begins. */
  answered: Promise<number | null> | null = null

  private constructor(
    readonly relay: Relay,
    /** The kernel's side. */
    readonly channel: Fd,
    private readonly ours: Fd,
    readonly theirs: Fd,
  ) {
    this.socket = linkTextOf(process.pid as Pid, theirs as number as RemoteFd)
    this.kept = duplicateFd(ours)
  }

  /** Null if no holder has the channel any more. */
  static open(m: ManagedMount): Line | null {
    if (!m.relay) return null
    const channel = takeChannel(m)
    if (channel === null) return null
    const { ours, theirs } = relaySockets()
    return new Line(m.relay, channel, ours, theirs)
  }

  /**
   * From now on the relay reads the channel, which it closes in the end as well as its end of the line.
   * @param isAhead true if no life has the other end yet
   */
  begin(m: ManagedMount, isAhead: boolean): Promise<number | null> {
    if (this.answered) return this.answered
    const { relay, channel, ours } = this
    const { mountpoint = '', device = '', owner = null } = m.mount ?? {}
    const of = { mountpoint, device, owner, excludePids: excluded(m) }
    const options = { channel, daemon: ours, life: m.number, isAhead, ...of }
    // Its end is told by `ended`.
    const answered = relay.start(options).catch(() => null)
    this.answered = answered
    return answered
  }

  /** A life has the other end. */
  handedOver(): void {
    closeFd(this.theirs)
    this.relay.handedOver()
  }

  /** The life that served it has ended, or goes on without. What its relay has read and not answered is settled before the next one. */
  end(m: ManagedMount): void {
    closeFd(this.kept)
    m.closing = Promise.all([m.closing, this.relay.stop()])
  }

  /** No life has come to serve it. What has been read has to be sent again once `m.closing` is over. */
  withdraw(m: ManagedMount): void {
    for (const fd of [this.kept, this.theirs]) closeFd(fd)
    if (this.answered) m.closing = Promise.all([m.closing, this.relay.stop()])
    else for (const fd of [this.ours, this.channel]) closeFd(fd)
  }
}

/** Whose open files pin nothing: ours, the holders', the daemon's own. */
export const excluded = (m: ManagedMount): number[] => [process.pid, ...m.helpers(), ...daemonFamily(m.helpers(), null)]
