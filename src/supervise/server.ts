// Which process serves. Of a daemon that goes into the background two have the channel for a while, the one that was started,
// which ends soon, and its child; and a process that is being forked off has all that its parent has. The one that sleeps in
// a read of the channel is the one that serves.
import { fdsCalled } from '../graft/descriptors.js'
import { channelsOf } from '../graft/exchange.js'
import { readFromBy } from '../kernel/process.js'
import type { Pid, RemoteFd } from '../native/types.js'
import { daemonFamily } from './life.js'
import type { ManagedMount } from './managed-mount.js'
import { follow } from './watching.js'

/** Those of the processes that requests of the mount reach, those that wait for one first. */
export function serversOf(m: ManagedMount, pids: readonly Pid[]): Server[] {
  const servers = pids.map((pid) => ({ pid, fds: channelsIn(m, pid) })).filter(({ fds }) => fds.length > 0)
  if (servers.length < 2) return servers.map(({ pid }) => ({ pid, waits: false }))
  return servers
    .map(({ pid, fds }) => ({ pid, waits: readFromBy(pid).some((fd) => fds.includes(fd)) }))
    .sort((a, b) => Number(b.waits) - Number(a.waits))
}

export interface Server {
  readonly pid: Pid
  /** Not found out of one that is the only one. */
  readonly waits: boolean
}

/** Its descriptors of the channel, or of the relay's socket in the place of it. */
function channelsIn({ graft, mount }: ManagedMount, pid: Pid): RemoteFd[] {
  if (graft) return fdsCalled(pid, graft.line.socket)
  return mount ? channelsOf(mount.connection)(pid) : []
}

const FIRST_LOOK_MS = 0.5
/** One that is busy all this time is not known from the others. */
const PATIENCE_MS = 100

/** Follows the process that serves, and then goes on. The mount has answered, so that it waits for the next request, or soon does. */
export function onceServerIsKnown(m: ManagedMount, goOn: () => void, againMs = FIRST_LOOK_MS): void {
  const leader = m.leader?.pid as Pid | undefined
  const servers = serversOf(m, daemonFamily(m.helpers(), m.adopted && leader ? leader : null))
  const isPlain = servers.length < 2
  const [first] = servers
  if (!isPlain && !first?.waits && againMs < PATIENCE_MS) {
    const { number } = m
    const again = () => m.state === 'proving' && m.number === number && onceServerIsKnown(m, goOn, againMs * 2)
    setTimeout(() => m.guard(again), againMs)
    return
  }
  const isRight = servers.some(({ pid, waits }) => pid === leader && (isPlain || waits || !first?.waits))
  if (first && !isRight) follow(m, first.pid)
  goOn()
}
