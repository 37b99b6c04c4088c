// The next life of a stock daemon, step by step and without a supervisor: an old mount whose daemon has been killed, a life
// in its own namespace, a decoy, and a socket in the place of its channel.
import { spawn } from 'node:child_process'
import type { Test } from 'tap'
import type { ServedMount } from '../../src/capture/find-mount.js'
import { channelFdsOf, takeFd } from '../../src/capture/take-channels.js'
import { awaitDecoy } from '../../src/graft/decoy.js'
import { channelsOf, type Exchanged, exchange } from '../../src/graft/exchange.js'
import { launchIsolated, mountpointsOf } from '../../src/graft/isolated-launch.js'
import { Namespace } from '../../src/graft/namespace.js'
import { waitingRequests } from '../../src/kernel/connection.js'
import { connectionOf, type Mount, readMounts } from '../../src/kernel/mountinfo.js'
import { argvOf, childrenOf, familyOf, startTimeOf } from '../../src/kernel/process.js'
import { closeFd } from '../../src/native/descriptor.js'
import { becomeSubreaper, reap } from '../../src/native/process.js'
import { receive, sendMessage, socketpair } from '../../src/native/socket.js'
import type { Fd, Pid } from '../../src/native/types.js'
import { Watcher } from '../../src/native/watch.js'
import { until } from '../fixtures/deadline.js'
import { type Place, placeFor } from '../fixtures/place.js'

const DEADLINE = 20_000

/** argv of a daemon. */
export type DaemonCommand = (place: Place) => readonly [program: string, ...string[]]

export interface OldMount {
  readonly place: Place
  readonly mount: Mount
  /** Our copy: the mount lives as long as it. */
  readonly channel: Fd
}

/** The processes that have come since; a daemon in the background is our child, for we are a subreaper. */
export class Family {
  private readonly before = new Set(childrenOf('self'))

  constructor(t: Test) {
    becomeSubreaper()
    t.teardown(async () => {
      for (const pid of this.now()) process.kill(pid, 'SIGKILL')
      await this.gone()
    })
  }

  now(): Pid[] {
    return childrenOf('self')
      .filter((pid) => !this.before.has(pid) && !isOurs(pid))
      .flatMap(familyOf)
      .filter((pid) => startTimeOf(pid) !== null)
  }

  kill(): Promise<void> {
    for (const pid of this.now()) process.kill(pid, 'SIGKILL')
    return this.gone()
  }

  private gone(): Promise<void> {
    return until(() => {
      for (const pid of childrenOf('self')) if (!this.before.has(pid) && !nodeReaps.has(pid)) reap(pid)
      return this.now().length === 0
    }, 'the end of all processes')
  }
}

/** True of one that asks a decoy for an answer, also when it is just ending. */
function isOurs(pid: Pid): boolean {
  const [name] = argvOf(pid)
  return name === undefined || name === 'keepmount-path'
}

const nodeReaps = new Set<number>()

export interface LiveMount extends OldMount {
  readonly family: Family
  /** The process that serves it. */
  readonly pid: Pid
}

/** A mount that is served, by a daemon that nobody supervises. */
export async function liveMount(t: Test, command: DaemonCommand): Promise<LiveMount> {
  const place = placeFor(t)
  const family = new Family(t)
  const [program, ...args] = command(place)
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env: place.env })
  nodeReaps.add(child.pid ?? 0)
  const mount = await place.mounted()
  const connection = connectionOf(mount.device)
  await until(() => waitingRequests(connection) === 0, 'an answer to FUSE_INIT')
  // Who starts one in the background has the channel as well, up to its own end.
  const servers = () => family.now().filter((pid) => channelFdsOf(pid, connection).length > 0)
  await until(() => servers().length === 1, 'a daemon that serves alone')
  const [pid = 0 as Pid] = servers()
  const channel = takeFd(pid, channelFdsOf(pid, connection)[0] ?? (0 as never))
  t.teardown(() => closeFd(channel))
  return { place, mount, channel, family, pid }
}

/** A mount whose daemon has been killed with SIGKILL. */
export async function deadMount(t: Test, command: DaemonCommand): Promise<OldMount> {
  const live = await liveMount(t, command)
  await live.family.kill()
  return live
}

export class Grafted {
  readonly ours: Fd
  readonly theirs: Fd
  private unique = 2n

  private constructor(
    t: Test,
    readonly old: OldMount,
    readonly family: Family,
    readonly pid: Pid,
    readonly decoy: ServedMount,
    readonly namespace: Namespace,
  ) {
    const pair = socketpair('seqpacket')
    t.teardown(() => pair.forEach(closeFd))
    this.ours = pair[0]
    this.theirs = pair[1]
  }

  /** Starts the next life up to its decoy. */
  static async start(t: Test, old: OldMount, command: DaemonCommand): Promise<Grafted> {
    const { place, mount } = old
    const family = new Family(t)
    const [path, ...args] = command(place)
    const watcher = new Watcher()
    t.teardown(() => watcher.close())
    const launched = launchIsolated({
      path,
      argv: [path, ...args],
      cwd: place.folder,
      env: Object.fromEntries(Object.entries(place.env).map(([name, value]) => [name, value ?? ''])),
      channel: null,
      detach: mountpointsOf(readMounts(), mount.device),
    })
    nodeReaps.add(launched.pid)
    await launched.isolated
    const namespace = Namespace.of(launched.pid)
    t.teardown(() => namespace.close())
    launched.go()
    const decoy = await awaitDecoy({
      pid: launched.pid,
      namespace,
      family: () => family.now(),
      mountpoint: place.mount,
      watcher,
      signal: AbortSignal.timeout(DEADLINE),
    })
    return new Grafted(t, old, family, launched.pid, decoy, namespace)
  }

  /** Puts the socket in the place of its channel. */
  graft(): Exchanged {
    return exchange(() => this.family.now(), channelsOf(this.decoy.connection), this.theirs)
  }

  /** Sends a request to the daemon and returns the length and error of its reply. */
  ask(opcode: keyof typeof requests): { length: number; error: number } {
    const [number, body] = requests[opcode]
    const message = Buffer.alloc(40 + body)
    message.writeUInt32LE(message.length, 0)
    message.writeUInt32LE(number, 4)
    message.writeBigUInt64LE(this.unique, 8)
    message.writeBigUInt64LE(1n, 16)
    sendMessage(this.ours, message)
    const reply = receive(this.ours, DEADLINE)?.bytes
    if (!reply) throw new Error(`no answer to ${opcode}`)
    if (reply.readBigUInt64LE(8) !== this.unique) throw new Error(`the answer to ${reply.readBigUInt64LE(8)}`)
    this.unique += 2n
    return { length: reply.readUInt32LE(0), error: reply.readInt32LE(4) }
  }
}

const requests = { STATFS: [17, 0], GETATTR: [3, 16] } as const
