// Where a holder is put so that little can happen to it: last in line for the OOM killer, in a cgroup of its own, with
// room for many open files. Each is done as far as we may; what came of it is told.
import { readFileSync, writeFileSync } from 'node:fs'
import type { ProcessIdentity } from '../kernel/process.js'
import { rawSyscall } from '../native/ffi.js'
import type { Pid } from '../native/types.js'
import { enterOwnCgroup, ownCgroupOf } from './cgroup.js'

export interface Placement {
  /** -1000 is never chosen by the OOM killer; null if it cannot be read. Source: proc_pid_oom_score_adj(5). */
  readonly oomScoreAdj: number | null
  /** Null if it shares one. */
  readonly cgroup: string | null
  /** How many channels it can hold, about; null if it cannot be read. */
  readonly openFiles: number | null
}

export function place(holder: ProcessIdentity): Placement {
  lowerOomScore(holder.pid)
  raiseOpenFiles(holder.pid)
  enterOwnCgroup(holder)
  return placementOf(holder)
}

export function placementOf(holder: ProcessIdentity): Placement {
  return {
    oomScoreAdj: oomScoreOf(holder.pid),
    cgroup: ownCgroupOf(holder),
    openFiles: openFilesOf(holder.pid)?.soft ?? null,
  }
}

const LOWEST_OOM_SCORE = -1000

/** Without CAP_SYS_RESOURCE there is a lower bound that cannot be read, so it is searched for. */
function lowerOomScore(pid: Pid): void {
  const now = oomScoreOf(pid)
  if (now === null || trySet(pid, LOWEST_OOM_SCORE)) return
  let [refused, granted] = [LOWEST_OOM_SCORE, now]
  while (granted - refused > 1) {
    const middle = Math.floor((refused + granted) / 2)
    if (trySet(pid, middle)) granted = middle
    else refused = middle
  }
}

function trySet(pid: Pid, score: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(score))
    return true
  } catch {
    return false
  }
}

function oomScoreOf(pid: Pid): number | null {
  try {
    return Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'))
  } catch {
    return null
  }
}

const RLIMIT_NOFILE = 7
/** struct rlimit64: | soft | hard | */
const limits = Buffer.alloc(16)

/** To what the kernel allows at most, or else to its hard limit. Source: prlimit(2). */
function raiseOpenFiles(pid: Pid): void {
  const now = openFilesOf(pid)
  if (now === null) return
  const setTo = (limit: number): boolean => {
    limits.writeBigUInt64LE(BigInt(limit), 0)
    limits.writeBigUInt64LE(BigInt(limit), 8)
    return rawSyscall('prlimit64', pid, RLIMIT_NOFILE, limits, 0) === 0
  }
  const most = mostOpenFiles()
  if (!(most > now.hard && setTo(most)) && now.soft < now.hard) setTo(now.hard)
}

function openFilesOf(pid: Pid): { soft: number; hard: number } | null {
  if (rawSyscall('prlimit64', pid, RLIMIT_NOFILE, 0, limits) !== 0) return null
  return { soft: Number(limits.readBigUInt64LE(0)), hard: Number(limits.readBigUInt64LE(8)) }
}

function mostOpenFiles(): number {
  try {
    return Number(readFileSync('/proc/sys/fs/nr_open', 'utf8'))
  } catch {
    return 0
  }
}
