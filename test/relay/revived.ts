// A stock daemon that is revived by graft and relay, without the supervisor: only what a life needs, one step after another.
import { spawn } from 'node:child_process'
import { serversAmong } from '../../src/capture/find-mount.js'
import { channelFdsOf, takeFd } from '../../src/capture/take-channels.js'
import { awaitDecoy } from '../../src/graft/decoy.js'
import { channelsOf, type Exchanged, exchange, exchangeFds } from '../../src/graft/exchange.js'
import { launchIsolated, mountpointsOf } from '../../src/graft/isolated-launch.js'
import { Namespace } from '../../src/graft/namespace.js'
import { connectionOf, type Mount, readMounts } from '../../src/kernel/mountinfo.js'
import { familyOf } from '../../src/kernel/process.js'
import { closeFd } from '../../src/native/descriptor.js'
import { rawSyscall } from '../../src/native/ffi.js'
import { pidfdGetfd, pidfdOpen } from '../../src/native/pidfd.js'
import type { Fd, Pid, RemoteFd } from '../../src/native/types.js'
import { Watcher } from '../../src/native/watch.js'
import { Relay, type RelayEnd, relaySockets } from '../../src/relay/index.js'
import { resend } from '../../src/settle/resend.js'
import { until, within } from '../fixtures/deadline.js'
import type { Place } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'

const DEADLINE = 20_000

/** A life; Node started the first one. */
interface Daemon {
  readonly pid: number
  readonly ended: Promise<unknown>
  readonly kill: (signal: NodeJS.Signals) => unknown
}

export class Revived {
  life = 1
  relay: Relay | null = null
  private readonly warm: Relay
  private exchanged: Exchanged | null = null
  private readonly watcher = new Watcher()
  /** What the relays reported. */
  readonly reports: string[] = []
  readonly ends: RelayEnd[] = []

  private constructor(
    readonly place: Place,
    private readonly command: readonly string[],
    private daemon: Daemon,
    readonly mount: Mount,
    readonly channel: Fd,
  ) {
    this.warm = Relay.prepare(builtProgram('src/relay/worker'))
    this.warm.onReport((what, facts) => this.reports.push(`${what} ${JSON.stringify(facts)}`))
  }

  static async start(place: Place, command: readonly string[]): Promise<Revived> {
    const [program = '', ...args] = command
    const daemon = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env: place.env, cwd: place.folder })
    const mount = await place.mounted()
    const connection = connectionOf(mount.device)
    const family = () => familyOf((daemon.pid ?? 0) as Pid)
    await until(() => serversAmong(family(), connection).length > 0, 'a daemon that serves')
    const [server = 0 as Pid] = serversAmong(family(), connection)
    const channel = takeFd(server, channelFdsOf(server, connection)[0] ?? (0 as RemoteFd))
    const ended = new Promise((resolve) => daemon.once('exit', resolve))
    const first = { pid: daemon.pid ?? 0, ended, kill: (signal: NodeJS.Signals) => daemon.kill(signal) }
    const revived = new Revived(place, command, first, mount, channel)
    place.undo(() => revived.end())
    return revived
  }

  get pid(): Pid {
    return this.daemon.pid as Pid
  }

  async kill(): Promise<void> {
    this.daemon.kill('SIGKILL')
    await within(this.daemon.ended, DEADLINE, 'the end of the daemon')
    if (this.relay) {
      const { relay } = this
      this.ends.push(await within(relay.ended, DEADLINE, 'the end of the relay'))
      this.relay = null
    }
  }

  /** Starts the next life and its relay. Returns the milliseconds until requests are served. */
  async revive(): Promise<number> {
    const begin = performance.now()
    const { device } = this.mount
    const relay = this.warm
    relay.scan(device, [process.pid])
    resend(this.channel)
    const [path = '', ...args] = this.command
    const launched = launchIsolated({
      path,
      argv: [path, ...args],
      cwd: this.place.folder,
      env: Object.fromEntries(Object.entries(this.place.env).map(([name, value]) => [name, value ?? ''])),
      channel: null,
      detach: mountpointsOf(readMounts(), device),
    })
    this.daemon = launched.child
    await launched.isolated
    const namespace = Namespace.of(launched.pid)
    launched.go()
    const family = () => familyOf(launched.pid)
    const decoy = await awaitDecoy({
      pid: launched.pid,
      namespace,
      family,
      mountpoint: this.place.mount,
      watcher: this.watcher,
      signal: AbortSignal.timeout(DEADLINE),
    })
    namespace.close()
    const { ours, theirs } = relaySockets()
    this.exchanged = exchange(family, channelsOf(decoy.connection), theirs)
    closeFd(theirs)
    this.life++
    this.relay = relay
    await relay.start({
      channel: this.copyOfChannel(),
      daemon: ours,
      life: this.life,
      mountpoint: this.place.mount,
      device,
      excludePids: [process.pid, ...family()],
    })
    return performance.now() - begin
  }

  /** Brings the daemon back to the channel. False if something still uses ids of its own. */
  async heal(): Promise<boolean> {
    const { relay, exchanged } = this
    if (!relay || !exchanged || (await relay.heal()) !== null) return false
    for (const { pid, fd } of exchanged.fds) exchangeFds(pid, [fd], this.channel)
    await relay.stop()
    this.ends.push(await relay.ended)
    this.relay = null
    return true
  }

  private copyOfChannel(): Fd {
    const pidfd = pidfdOpen(process.pid as Pid)
    try {
      return pidfdGetfd(pidfd, this.channel as number as RemoteFd)
    } finally {
      closeFd(pidfd)
    }
  }

  private async end(): Promise<void> {
    this.daemon.kill('SIGKILL')
    await this.warm.dispose()
    this.watcher.close()
    rawSyscall('close', this.channel)
  }
}
