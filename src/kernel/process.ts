// Processes as procfs shows them. Nothing here follows a link of another process, which could lead onto a mount.
import { readdirSync } from 'node:fs'
import { release } from 'node:os'
import { arch } from '../native/arch.js'
import { failedWith } from '../native/error.js'
import { numberOf } from '../native/syscall-numbers.js'
import type { Pid, RemoteFd } from '../native/types.js'
import { linkOf, namesIn, readOr } from './procfs.js'

/**
 * When a process was started, in clock ticks since boot, as text: with its pid it names a process for good.
 * Null if it is gone or a zombie. Source: proc_pid_stat(5), fields 3 and 22.
 */
export function startTimeOf(pid: Pid): string | null {
  const [state, start] = stateAndStartOf(pid)
  return state === 'Z' || state === 'X' ? null : start
}

/** The same, also of one that has ended and is there still, as it is while other threads than the first go on. */
export const startedAt = (pid: Pid): string | null => stateAndStartOf(pid)[1]

function stateAndStartOf(pid: Pid): [state: string | null, start: string | null] {
  const text = readOr(`/proc/${pid}/stat`)
  if (text === null) return [null, null]
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return [fields[0] ?? null, fields[19] ?? null]
}

export interface ProcessIdentity {
  readonly pid: Pid
  readonly startTime: string
}

/** True while this very process runs; a later one with the same pid does not count. */
export const isAlive = ({ pid, startTime }: ProcessIdentity): boolean => startTimeOf(pid) === startTime

/** The argv a process shows. Empty for a zombie, a kernel thread or one that is gone. */
export function argvOf(pid: Pid): string[] {
  const text = readOr(`/proc/${pid}/cmdline`)
  return text ? text.replace(/\0$/, '').split('\0') : []
}

/**
 * The children of all threads of a process; of ourselves those of the main thread, which starts all of ours, and to which the
 * kernel gives orphans first (kernel/exit.c, find_alive_thread). Needs CONFIG_PROC_CHILDREN. Source: proc_pid_task_children(5).
 */
export function childrenOf(pid: Pid | 'self'): Pid[] {
  const children: Pid[] = []
  for (const tid of pid === 'self' ? [String(process.pid)] : namesIn(`/proc/${pid}/task`)) {
    const text = readOr(`/proc/${pid}/task/${tid}/children`) ?? ''
    for (const child of text.split(' ')) if (child) children.push(Number(child) as Pid)
  }
  return children
}

/** A process and all that descend from it, parents first. */
export function familyOf(pid: Pid): Pid[] {
  const family = [pid]
  for (let i = 0; i < family.length; i++) {
    const member = family[i]
    if (member !== undefined) family.push(...childrenOf(member))
  }
  return family
}

export interface FuseFd {
  readonly fd: RemoteFd
  /** The connection it serves; null before the mount, and where the kernel does not tell. */
  readonly connection: number | null
}

/** The first kernel that tells: to try it takes a mount. A distribution may have made an older one tell as well. */
const TELLS_SINCE = [6, 18] as const
const [major = 0, minor = 0] = release().split(/[.-]/).map(Number)
let tells = major > TELLS_SINCE[0] || (major === TELLS_SINCE[0] && minor >= TELLS_SINCE[1])

/** True if it is open and serves no connection yet: it will be the channel of a mount that is to come, or a clone. */
export const servesNothing = ({ connection }: FuseFd): boolean => connection === null && tells

/** True if requests of the connection can reach this descriptor. Where the kernel does not tell which it serves, it can be any. */
export const mayServe = (fuse: FuseFd, connection: number): boolean =>
  fuse.connection === connection || (fuse.connection === null && !tells)

/**
 * The descriptors of a process that are open files of the FUSE device.
 * Source: the link's text, and `fuse_connection` of fdinfo (fs/fuse/dev.c, fuse_dev_show_fdinfo).
 */
export function fuseFdsOf(pid: Pid): FuseFd[] {
  const found: FuseFd[] = []
  for (const name of namesIn(`/proc/${pid}/fd`)) {
    if (!/\/fuse$/.test(linkOf(`/proc/${pid}/fd/${name}`) ?? '')) continue
    const info = readOr(`/proc/${pid}/fdinfo/${name}`)
    // A descriptor of a regular file that happens to be named so lies on another file system than the device.
    if (info === null) continue
    const connection = /^fuse_connection:\s*(\d+)/m.exec(info)?.[1]
    if (connection !== undefined) tells = true
    found.push({ fd: Number(name) as RemoteFd, connection: connection === undefined ? null : Number(connection) })
  }
  return found
}

/** True if we lack the right to see the open files of a process that lives. Source: proc_pid_fd(5), ptrace access. */
export function hidesFds(pid: Pid): boolean {
  try {
    readdirSync(`/proc/${pid}/fd`)
    return false
  } catch (error) {
    return failedWith(error, 'EACCES', 'EPERM')
  }
}

/** What the tasks of a process wait for in the kernel, as function names. Source: proc_pid_wchan(5). */
export const waitChannelsOf = (pid: Pid): string[] =>
  namesIn(`/proc/${pid}/task`).map((tid) => readOr(`/proc/${pid}/task/${tid}/wchan`) ?? '')

/**
 * The descriptors that tasks of a process sleep in reading from, whatever of them is open now. Needs ptrace access.
 * Source: proc_pid_syscall(5).
 */
export const readFromBy = (pid: Pid): RemoteFd[] =>
  namesIn(`/proc/${pid}/task`).flatMap((tid) => {
    const [number = -1, fd] = callOf(Number(tid))
    return reading.has(number) ? [fd as RemoteFd] : []
  })

const reading = new Set((['read', 'readv', 'splice', 'recvmsg'] as const).map((name) => numberOf(name, arch)))

/**
 * The number and the arguments of the system call that a thread waits in; none if it does not, or that is not for us to see.
 * Source: proc_pid_syscall(5).
 */
export const callOf = (tid: number): number[] => {
  const [number = '', ...values] = (readOr(`/proc/${tid}/syscall`) ?? '').split(' ')
  return /^\d+$/.test(number) ? [number, ...values].map(Number) : []
}
