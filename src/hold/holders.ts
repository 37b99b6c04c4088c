// The holders of one supervisor: each channel is in all of them, so that any may die at any moment. One that dies, or
// does not answer, is replaced: the new one gets its channels from the others, from the silent one itself, or from the
// fallback, which is the daemon. Which descriptor a channel has in which holder is known here alone.
import { fuseFdsOf, type ProcessIdentity } from '../kernel/process.js'
import { closeFd, duplicateFd } from '../native/descriptor.js'
import { isSameFile } from '../native/process.js'
import type { Fd, Pid, RemoteFd } from '../native/types.js'
import { leaveCgroup } from './cgroup.js'
import { HolderError } from './error.js'
import { Holder } from './holder.js'

/** A channel that the holders keep; what it means is known to the one who gave it. */
export interface HeldChannel {
  readonly id: number
}

/** What a later supervisor needs to take up a holder. */
export interface HolderRecord {
  readonly pid: number
  readonly startTime: string
  /** `fds[i]` is the holder's descriptor of `channels()[i]`; -1 if it has not got it. */
  readonly fds: readonly number[]
}

export interface Replacement {
  /** The pid of the one that is gone now. */
  readonly dead: Pid
  readonly by: Holder
  /** Channels that nobody had any more. */
  readonly lost: readonly HeldChannel[]
}

/** A copy of a channel from elsewhere, which the group then closes; null if there is none. */
export type Fallback = (held: HeldChannel) => Fd | null

export interface HoldersOptions {
  /** How long a holder may take to answer. */
  readonly deadlineMs?: number
  /** Where a channel is that no holder has. */
  readonly fallback?: Fallback
  /** Called after each replacement, also one that `hold` or `drop` found necessary. */
  readonly replaced?: (replacement: Replacement) => void
}

/** A holder and its descriptors. */
interface Seat {
  readonly holder: Holder
  readonly fds: Map<HeldChannel, RemoteFd>
}

const MOST_ATTEMPTS = 3
const NOT_HELD = -1 as RemoteFd

export class Holders {
  private seats: Seat[] = []
  private held: HeldChannel[] = []
  private nextId = 0

  private constructor(
    private readonly name: string,
    private readonly options: HoldersOptions,
  ) {}

  /**
   * @param name shown as argument of each holder; unique to the supervisor's state, as the path of its folder is
   * @throws HolderError `unstartable`; none is left then
   */
  static start(name: string, count: number, options: HoldersOptions = {}): Holders {
    const group = new Holders(name, options)
    try {
      for (let i = 0; i < count; i++) group.seats.push({ holder: group.startHolder(), fds: new Map() })
      return group
    } catch (error) {
      group.end()
      throw error
    }
  }

  /**
   * Takes up the holders of an earlier supervisor (those of `findHolders` included, their `fds` empty). Its channels are
   * what they hold, also what was not written down: those of the records first, in their order, then the others. A
   * holder that is silent is replaced, and if fewer than `count` are left, others are started.
   * @throws HolderError `unstartable`, `forbidden`: then nothing has been changed
   */
  static adopt(name: string, count: number, records: readonly HolderRecord[], options: HoldersOptions = {}): Holders {
    const group = new Holders(name, options)
    const ended: ProcessIdentity[] = []
    for (const { pid, startTime } of records) {
      const identity = { pid: pid as Pid, startTime }
      try {
        group.seats.push({ holder: Holder.adopt(identity, options), fds: new Map() })
      } catch (error) {
        if (!(error instanceof HolderError) || error.reason === 'forbidden') {
          group.release()
          throw error
        }
        ended.push(identity)
      }
    }
    group.recognize(records)
    for (const { holder } of [...group.seats]) group.guard(holder, () => holder.ping())
    group.complete()
    for (const identity of ended) {
      leaveCgroup(identity)
      if (group.seats.length >= count) continue
      const { seat, lost } = group.addSeat()
      group.report({ dead: identity.pid, by: seat.holder, lost })
    }
    while (group.seats.length < count) group.addSeat()
    group.held = group.held.filter((held) => group.seats.some(({ fds }) => fds.has(held)))
    return group
  }

  /** All channels, in the order of `fds` in the records. */
  channels(): HeldChannel[] {
    return [...this.held]
  }

  /** All holders, also one that has died and is not replaced yet. The newest is the last. */
  all(): Holder[] {
    return this.seats.map(({ holder }) => holder)
  }

  living(): Holder[] {
    return this.all().filter((holder) => holder.alive())
  }

  /** Of all holders. */
  pids(): Pid[] {
    return this.seats.map(({ holder }) => holder.pid)
  }

  records(): { pid: Pid; startTime: string; fds: number[] }[] {
    return this.seats.map(({ holder: { pid, startTime }, fds }) => ({
      pid,
      startTime,
      fds: this.held.map((held) => fds.get(held) ?? NOT_HELD),
    }))
  }

  /**
   * Gives a copy of the channel to every holder; ours stays ours.
   * @throws HolderError `unstartable` if one failed and no other could be started in its place
   */
  hold(channel: Fd): HeldChannel {
    const held = { id: this.nextId++ }
    this.held.push(held)
    for (const { holder, fds } of [...this.seats])
      this.guard(
        holder,
        () => fds.set(held, holder.hold(channel)),
        (wanted) => (wanted === held ? duplicateFd(channel) : (this.options.fallback?.(wanted) ?? null)),
      )
    return held
  }

  /** A copy of the channel from whichever holder can give one; null if none has it. The caller closes it. */
  take(held: HeldChannel): Fd | null {
    return this.find(held, this.seats)
  }

  /** The descriptor of a channel in one of the holders; -1 if it has not got it. */
  remoteFd(holder: Holder, held: HeldChannel): RemoteFd {
    return this.seats.find((seat) => seat.holder === holder)?.fds.get(held) ?? NOT_HELD
  }

  /** Every holder closes the channel. */
  drop(held: HeldChannel): void {
    this.held = this.held.filter((other) => other !== held)
    for (const { holder, fds } of [...this.seats]) {
      const fd = fds.get(held)
      fds.delete(held)
      if (fd !== undefined) this.guard(holder, () => holder.drop(fd))
    }
  }

  /**
   * Starts a holder in the place of one that is dead or does not answer, gives it all channels, and ends the old one.
   * @param fallback instead of the group's own
   * @returns null if that pid is not one of the holders any more
   * @throws HolderError `unstartable`
   */
  replace(dead: Pid, fallback = this.options.fallback): Replacement | null {
    const old = this.seats.find(({ holder }) => holder.pid === dead)
    if (old === undefined) return null
    const { seat, lost } = this.filledSeat([...this.seats.filter((other) => other !== old), old], fallback)
    this.seats = [...this.seats.filter((other) => other !== old), seat]
    old.holder.kill()
    return this.report({ dead, by: seat.holder, lost })
  }

  /** Starts as many holders anew, and ends the old ones with all they hold. @throws HolderError `unstartable` */
  restart(): void {
    const old = this.seats
    const fresh = Holders.start(this.name, old.length, this.options)
    this.seats = fresh.seats
    this.held = []
    for (const { holder } of old) holder.kill()
  }

  /** Ends all holders; what they hold is closed. */
  end(): void {
    for (const { holder } of this.seats) holder.end()
    this.seats = []
    this.held = []
  }

  /** Leaves all holders as they are, for a later supervisor. */
  release(): void {
    for (const { holder } of this.seats) holder.release()
    this.seats = []
  }

  private startHolder(): Holder {
    return Holder.start({ name: this.name, ...this.options })
  }

  /** Does something with a holder; one that fails at it is replaced. */
  private guard(holder: Holder, action: () => void, fallback = this.options.fallback): void {
    try {
      action()
    } catch (error) {
      if (!(error instanceof HolderError)) throw error
      this.replace(holder.pid, fallback)
    }
  }

  private addSeat(): { seat: Seat; lost: HeldChannel[] } {
    const filled = this.filledSeat(this.seats, this.options.fallback)
    this.seats.push(filled.seat)
    return filled
  }

  private report(replacement: Replacement): Replacement {
    this.options.replaced?.(replacement)
    return replacement
  }

  /** A new holder with every channel that one of the sources or the fallback still has. */
  private filledSeat(sources: Seat[], fallback: Fallback | undefined): { seat: Seat; lost: HeldChannel[] } {
    for (let attempt = 1; ; attempt++) {
      const seat: Seat = { holder: this.startHolder(), fds: new Map() }
      try {
        return { seat, lost: this.held.filter((held) => !this.fill(seat, held, sources, fallback)) }
      } catch (error) {
        // It can be killed as any other can.
        seat.holder.kill()
        if (!(error instanceof HolderError) || attempt === MOST_ATTEMPTS) throw error
      }
    }
  }

  private fill(seat: Seat, held: HeldChannel, sources: Seat[], fallback: Fallback | undefined): boolean {
    const fd = this.find(held, sources) ?? fallback?.(held) ?? null
    if (fd === null) return false
    try {
      seat.fds.set(held, seat.holder.hold(fd))
      return true
    } finally {
      closeFd(fd)
    }
  }

  /** A copy of a channel from the first that can give one. */
  private find(held: HeldChannel, sources: readonly Seat[]): Fd | null {
    for (const { holder, fds } of sources) {
      const remote = fds.get(held)
      if (remote === undefined) continue
      try {
        return holder.take(remote)
      } catch (error) {
        if (!(error instanceof HolderError)) throw error
      }
    }
    return null
  }

  /** Finds out which channels the adopted holders have, and which of them are the same. */
  private recognize(records: readonly HolderRecord[]): void {
    for (const { fds } of records) if (fds.length > 0) this.channelNumber(fds.length - 1)
    for (const { holder, fds } of this.seats) {
      const listed = records.find((record) => isSameProcess(record, holder))?.fds ?? []
      const present = fuseFdsOf(holder.pid).map(({ fd }) => fd)
      for (const [i, fd] of listed.entries()) {
        if (present.includes(fd as RemoteFd)) fds.set(this.channelNumber(i), fd as RemoteFd)
      }
    }
    for (const seat of this.seats) {
      for (const { fd } of fuseFdsOf(seat.holder.pid)) {
        if ([...seat.fds.values()].includes(fd)) continue
        const known = this.held.find((held) => !seat.fds.has(held) && this.isChannel(held, seat.holder.pid, fd))
        seat.fds.set(known ?? this.channelNumber(this.held.length), fd)
      }
    }
  }

  /** True if it is the open file of a channel that is held. Where the kernel has no kcmp it may be. */
  isHeld(pid: Pid, fd: RemoteFd): boolean {
    return this.seats.some(({ holder, fds }) =>
      [...fds.values()].some((own) => isSameFile(holder.pid, own, pid, fd, true)),
    )
  }

  private channelNumber(index: number): HeldChannel {
    while (this.held.length <= index) this.held.push({ id: this.nextId++ })
    return this.held[index] as HeldChannel
  }

  private isChannel(held: HeldChannel, pid: Pid, fd: RemoteFd): boolean {
    return this.seats.some(({ holder, fds }) => {
      const other = fds.get(held)
      return other !== undefined && isSameFile(holder.pid, other, pid, fd, false)
    })
  }

  /** Gives each holder what only others have: its supervisor may have died while it handed a channel out. */
  private complete(): void {
    for (const seat of [...this.seats]) {
      for (const held of this.held) {
        if (seat.fds.has(held)) continue
        this.guard(seat.holder, () => this.fill(seat, held, this.seats, this.options.fallback))
      }
    }
  }
}

const isSameProcess = (a: HolderRecord, b: ProcessIdentity): boolean => a.pid === b.pid && a.startTime === b.startTime
