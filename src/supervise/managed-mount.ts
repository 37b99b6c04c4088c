// One managed mount: its state, what it knows, and the services its actions use. What is done on each event stands in
// actions.ts, which state it is done in stands in transitions.ts.
import { closeSync, openSync } from 'node:fs'
import type { ServedMount } from '../capture/find-mount.js'
import type { HostFollower } from '../graft/host-follower.js'
import type { Namespace } from '../graft/namespace.js'
import type { Holders, HoldersOptions } from '../hold/holders.js'
import { startedChildren } from '../kernel/children.js'
import type { Connection } from '../kernel/connection.js'
import type { Owner } from '../kernel/mountinfo.js'
import { type ProcessIdentity, startTimeOf } from '../kernel/process.js'
import { pollEvents } from '../native/poll.js'
import type { Exit } from '../native/process.js'
import type { Pid } from '../native/types.js'
import { type Unwatch, Watcher } from '../native/watch.js'
import type { Relay } from '../relay/index.js'
import type { Prober } from '../revive/prober.js'
import { StartLimit } from '../revive/restart-policy.js'
import type { StateFolder } from '../state/folder.js'
import type { Crash, MountRecord } from '../state/record.js'
import { actions, startAnew } from './actions.js'
import type { Clones } from './clones.js'
import type { EventFacts, EventName, EventSink, GiveUpReason, MountEvent } from './events.js'
import { endRelay, type Graft } from './grafting.js'
import type { Life } from './life.js'
import type { Line } from './line.js'
import type { MountOptions } from './options.js'
import { isMounted } from './ours.js'
import type { Healing } from './relayed.js'
import type { Seeking } from './seeking.js'
import type { Standby } from './standby.js'
import { Timers } from './timers.js'
import { type MachineEvent, type State, transitions } from './transitions.js'
import { channelOfDaemon, holderDied, holderReplaced, mountTableChanged } from './watching.js'

export interface KnownMount {
  readonly mountpoint: string
  readonly device: string
  readonly connection: number
  readonly owner: Owner | null
}

/** What an event brings along. */
export interface Cause {
  readonly event: MachineEvent
  /** How the daemon ended. */
  readonly exit?: Exit
  /** The daemon, where it had ended before it could be followed. */
  readonly dead?: Pid | null
  /** The signal that asks us to stop. */
  readonly signal?: number
  /** The errno of the mount's answer. */
  readonly answer?: number
  readonly unmounted?: 'unmounted' | 'aborted'
  readonly reason?: GiveUpReason
  readonly detail?: string
  readonly decoy?: ServedMount
}

/** The time from the death of a life to the first answer of a later one. */
export interface Pause {
  readonly since: number
  settled: string
}

/** A life that comes up soon has this time before it is put on record as the present one. */
const COMING_MS = 50

const self: ProcessIdentity = { pid: process.pid as Pid, startTime: startTimeOf(process.pid as Pid) ?? '' }

export class ManagedMount {
  state: State = 'starting'
  /** The number of the present life, or of the last one while there is none. */
  number = 1
  life: Life | null = null
  /** The process that serves, or is to serve, the channel. */
  leader: ProcessIdentity | null = null
  /** True once the life is not a child of ours. */
  adopted = false
  mount: KnownMount | null = null
  /** That of the mount; null if there is none, or it cannot be reached. Its number alone can soon be somebody else's. */
  connection: Connection | null = null
  firstAnswer: number | null = null
  crashes = 0
  lastCrash: Crash | null = null
  lastExit: Exit | null = null
  pause: Pause | null = null
  /** True once a life was told to end since its mount is gone. */
  isRetired = false
  /** While a life is served through a relay. */
  graft: Graft | null = null
  /** What was last put on record of it. */
  healing: Healing | null = null
  /** Whether there may be requests that an earlier life had read, and that are held back. */
  holdsBack = false
  /** From the first moment on in which a daemon serves the channel itself. */
  clones: Clones | null = null
  /** It waits to be needed, or serves for `graft`. */
  relay: Relay | null = null
  /** From the decoy of a life until that is grafted. */
  line: Line | null = null
  /** What is to become the next life. */
  standby: Standby | null = null
  /** Keeps the mount namespace of a grafted life as the host's. */
  follower: HostFollower | null = null
  /** While a grafted life lives. */
  seeking: Seeking | null = null
  /**
   * That of a grafted life, kept beyond its end: the last process in a namespace takes it apart before its end is told, which
   * would be 2 ms of a pause.
   */
  namespace: Namespace | null = null
  /** Settles when relays that are to end have ended: until then they may read the channel. */
  closing: Promise<unknown> = Promise.resolve()
  /** Restarts since the mount was last stable. */
  restarts = 0
  servingSince = 0
  startedAt = 0
  /** How long the first life took to its first answer. */
  firstStartMs = 0
  /** FUSE mounts that were there before a life that mounts by itself was started. */
  mountsBefore = new Set<string>()
  gaveUp = false
  /** The keys of mounts that the daemon made and nobody serves. */
  readonly strays = new Set<string>()
  readonly probers = new Set<Prober>()
  /** The processes that Node started as lives; it reaps them. */
  readonly launched = new Set<number>()
  readonly watcher = new Watcher()
  readonly startLimit: StartLimit
  readonly timers: Timers
  readonly ended: Promise<number>
  /** Ends the supervisor with this exit code; only the action `end` calls it. */
  finish: (code: number) => void = () => {}
  fail: (error: unknown) => void = () => {}
  private readonly mountinfo = openSync('/proc/self/mountinfo', 'r')
  private readonly unwatchMounts: Unwatch
  private saved = false
  /** What was last put on record as the next life. */
  private recordedNext: ProcessIdentity | null = null
  private saving: NodeJS.Timeout | undefined
  /** What is told and put on record only afterwards, while the next life has to begin. */
  private hurried: { isDue: boolean; readonly events: MountEvent[] } | null = null
  private readonly holderWatches = new Map<Pid, Unwatch>()

  readonly holders: Holders

  /**
   * @param path the daemon's program, found in PATH
   * @param makeHolders starts or adopts the holders
   * @param record what an earlier supervisor left
   */
  constructor(
    readonly options: MountOptions,
    readonly path: string,
    readonly folder: StateFolder,
    private readonly sink: EventSink,
    makeHolders: (options: HoldersOptions) => Holders,
    record?: MountRecord,
  ) {
    this.startLimit = new StartLimit(options.startLimitBurst, options.startLimitIntervalSec)
    this.timers = new Timers((event) => this.dispatch(event))
    this.ended = new Promise((resolve, reject) => {
      this.finish = resolve
      this.fail = reject
    })
    if (record) {
      this.number = record.life
      this.leader = record.daemon as ProcessIdentity | null
      this.mount = record.mount
      this.firstAnswer = record.firstAnswer
      this.crashes = record.crashes
      this.lastCrash = record.lastCrash
    }
    this.holders = makeHolders({
      fallback: (held) => channelOfDaemon(this, held),
      replaced: (replacement) => holderReplaced(this, replacement),
    })
    // The kernel reports each change of the mount table as an exceptional condition: proc_pid_mountinfo(5).
    this.unwatchMounts = this.watcher.watch(this.mountinfo, pollEvents.POLLPRI, () =>
      this.guard(() => mountTableChanged(this)),
    )
  }

  /** What the event means in the present state is done; an error of an action ends the supervisor. */
  dispatch(event: MachineEvent, cause: Omit<Cause, 'event'> = {}): void {
    const action = transitions[this.state][event]
    if (action === null) return
    this.guard(() => {
      if (action === 'impossible') throw new Error(`the event ${event} must not happen in the state ${this.state}`)
      actions[action](this, { event, ...cause })
    })
  }

  /** Starts the first life. */
  begin(): void {
    startAnew(this)
  }

  enter(state: State): void {
    this.state = state
    this.save()
  }

  /**
   * Does first what an application waits for: what is told meanwhile, and put on record, is so when that is done.
   */
  hurry(action: () => void): void {
    if (this.hurried) return action()
    const hurried = { isDue: false, events: [] }
    this.hurried = hurried
    try {
      action()
    } finally {
      this.hurried = null
      if (hurried.isDue && this.state !== 'ended') this.save()
      for (const event of hurried.events) this.sink(event)
    }
  }

  /** Leaves word for a later supervisor. A folder that cannot be written any more is no reason to end a mount. */
  save(): void {
    if (this.hurried) {
      this.hurried.isDue = true
      return
    }
    const isComing = this.state === 'respawning' || this.state === 'proving'
    // The record names it as the next one: what is more can wait until it serves.
    if (isComing && this.leader !== null && this.leader.pid === this.recordedNext?.pid)
      this.saving ??= setTimeout(() => this.guard(() => this.write()), COMING_MS).unref()
    else this.write()
  }

  private write(): void {
    clearTimeout(this.saving)
    this.saving = undefined
    const record = this.record()
    try {
      this.folder.write(record)
      this.saved = true
      this.recordedNext = record.next as ProcessIdentity | null
    } catch (error) {
      if (!this.saved) throw error
    }
  }

  /** Runs what a timer or a watch has brought; an error of it ends the supervisor, not the mount. */
  guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.fail(error)
    }
  }

  emit<Name extends EventName>(event: Name, facts: EventFacts[Name]): void {
    const told = {
      time: new Date().toISOString(),
      event,
      name: this.options.name,
      mountpoint: this.mount?.mountpoint ?? null,
      life: this.number,
      ...facts,
    } as MountEvent
    if (this.hurried) this.hurried.events.push(told)
    else this.sink(told)
  }

  /** Our own children, which are not the daemon's. */
  helpers(): Set<number> {
    const pids = new Set<number>(this.holders.pids())
    for (const pid of startedChildren()) if (!this.launched.has(pid)) pids.add(pid)
    return pids
  }

  isMounted(): boolean {
    return isMounted(this)
  }

  /** Watches each holder that is not watched yet; one that has died meanwhile is told of at once. */
  watchHolders(): void {
    for (const { pid, pidfd } of this.holders.all()) {
      if (this.holderWatches.has(pid)) continue
      const unwatch = this.watcher.watch(pidfd, pollEvents.POLLIN, () => {
        this.unwatchHolder(pid)
        this.guard(() => holderDied(this, pid))
      })
      this.holderWatches.set(pid, unwatch)
    }
  }

  unwatchHolder(pid: Pid): void {
    this.holderWatches.get(pid)?.()
    this.holderWatches.delete(pid)
  }

  /** Ends the supervisor and nothing else: daemon and holders go on, and the record is there to take them up by. */
  abandon(): void {
    this.state = 'ended'
    endRelay(this)
    this.release()
    this.holders.release()
    this.folder.release()
  }

  /** Ends all watching; the holders and the daemon stay as they are. */
  release(): void {
    clearTimeout(this.saving)
    this.timers.disarmAll()
    this.unwatchMounts()
    for (const pid of [...this.holderWatches.keys()]) this.unwatchHolder(pid)
    this.life?.release()
    this.life = null
    this.clones?.close()
    this.clones = null
    this.watcher.close()
    this.connection?.close()
    this.connection = null
    closeSync(this.mountinfo)
  }

  private record(): MountRecord {
    return {
      version: 1,
      options: this.options,
      state: this.state,
      life: this.number,
      supervisor: self,
      daemon: this.leader,
      next: this.standby?.identity ?? null,
      mount: this.mount,
      holders: this.holders.records(),
      firstAnswer: this.firstAnswer,
      crashes: this.crashes,
      lastCrash: this.lastCrash,
      healing: this.healing,
    }
  }
}
