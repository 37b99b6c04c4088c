// A life that has been killed and cannot end. A daemon that dies with a file of its own mount open (go-fuse opens one when it
// starts), or while it opens one, waits for an answer that only itself could give, and keeps its channel until it has it: until
// the connection of its decoy is aborted, it is neither dead nor alive. Which of its threads waits is not known: the last one
// that ends closes the files, one that has sent a request cannot end before.
import { readdirSync, readFileSync } from 'node:fs'
import { isAmong } from '../capture/find-mount.js'
import { Namespace } from '../graft/namespace.js'
import { Connection } from '../kernel/connection.js'
import { connectionOf, type Mount } from '../kernel/mountinfo.js'
import { startedAt } from '../kernel/process.js'
import type { Pid } from '../native/types.js'
import { daemonFamily } from './life.js'
import type { KnownMount, ManagedMount } from './managed-mount.js'
import type { Seeking } from './seeking.js'

/** No event tells of it. One that ends in order is not seen twice in that. */
const LOOK_MS = 100
/** Source: include/linux/sched.h */
const PF_EXITING = 0x4
const PF_DUMPCORE = 0x200
/** Of a mask of signals. */
const SIGKILL_BIT = 1 << 8

/**
 * Ends the decoy of a life when it keeps a process from ending: as long as it has one, that is until the relay is in the place
 * of its channel, and until all are gone whom its end has met without.
 */
export function freeWhenStuck(m: ManagedMount, { signal, ...seeking }: Seeking): void {
  const { mount } = m
  // Longer than it is sought in.
  const namespace = seeking.namespace.copy()
  const known = new Map<Pid, string | null>()
  let stuck: Pid[] = []
  const know = (): void => {
    for (const each of daemonFamily(m.helpers(), null)) if (!known.has(each)) known.set(each, startedAt(each))
  }
  const close = (): void => {
    clearInterval(timer)
    namespace.close()
  }
  const look = (): void => {
    if (m.graft || m.state === 'healing' || m.state === 'serving') return close()
    if (!signal.aborted) know()
    const now = [...known.keys()].filter(isStuck)
    if (now.some((each) => stuck.includes(each))) abortDecoys(namespace, mount, 'awaited')
    stuck = now
    if (signal.aborted && ![...known].some(([each, start]) => start !== null && startedAt(each) === start)) close()
  }
  const timer = setInterval(() => m.guard(look), LOOK_MS).unref()
  signal.addEventListener('abort', () => {
    if (m.graft || m.state === 'healing') return close()
    know()
    abortDecoys(namespace, mount, 'all')
    look()
  })
}

/** As abortDecoys, for a process of which nothing more is known, whatever state it is in. */
export function abortDecoysOf(pid: Pid, mount: KnownMount | null): void {
  for (const tid of tasksOf(pid)) {
    let namespace: Namespace
    try {
      namespace = Namespace.of(tid)
    } catch {
      // A thread that has ended has none any more.
      continue
    }
    abortDecoys(namespace, mount, 'all')
    return namespace.close()
  }
}

/** @param which those that somebody waits for, or all */
function abortDecoys(namespace: Namespace, mount: KnownMount | null, which: 'awaited' | 'all'): void {
  for (const decoy of decoysIn(namespace, mount)) {
    const connection = Connection.open(connectionOf(decoy.device), () => isAmong(decoy, decoysIn(namespace, mount)))
    if (which === 'all' || (connection?.waiting() ?? 0) > 0) connection?.abort()
    connection?.close()
  }
}

/** What is mounted there in the place of our mount; what the host has as well is a copy of somebody's. */
function decoysIn(namespace: Namespace, mount: KnownMount | null): Mount[] {
  if (mount === null) return []
  return namespace.ownMounts(mount.mountpoint).filter(({ device }) => device !== mount.device)
}

/** True if a process is past saving, all threads that are left of it, and one of them waits for something that can't be broken off. */
function isStuck(pid: Pid): boolean {
  const tasks = tasksOf(pid).map((tid) => {
    const stat = textOf(`/proc/${pid}/task/${tid}/stat`)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const isEnding = (Number(fields[FLAGS]) & (PF_EXITING | PF_DUMPCORE)) !== 0
    return { isDoomed: isEnding || (Number(fields[PENDING]) & SIGKILL_BIT) !== 0, state: fields[0] }
  })
  return tasks.every(({ isDoomed }) => isDoomed) && tasks.some(({ state }) => state === 'D')
}

/** Source: proc_pid_stat(5), flags (9) and signal (31), of which the state is the third. */
const FLAGS = 9 - 3
const PENDING = 31 - 3

const tasksOf = (pid: Pid): Pid[] => {
  try {
    return readdirSync(`/proc/${pid}/task`).map((tid) => Number(tid) as Pid)
  } catch {
    return []
  }
}
const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
