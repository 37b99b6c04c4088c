// What the tests of the holders share: channels to hold, what a holder has open, and the certainty that nothing stays.
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { findHolders, type Holder } from '../../src/hold/holder.js'
import { type HolderRecord, Holders } from '../../src/hold/holders.js'
import { readMounts } from '../../src/kernel/mountinfo.js'
import { failedWith } from '../../src/native/error.js'
import { sameOpenFile } from '../../src/native/process.js'
import type { Fd, Pid, RemoteFd } from '../../src/native/types.js'
import { Child } from '../fixtures/child.js'
import { within } from '../fixtures/deadline.js'
import { builtProgram } from '../fixtures/project.js'

/** Why the tests cannot run here, or false. */
export const skip = missing()

function missing(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  try {
    closeSync(openSync('/dev/fuse', 'r+'))
    return false
  } catch (error) {
    return `/dev/fuse: ${error}`
  }
}

/** A name of its own for the holders of one test; all of them are ended with it. */
export function nameFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'keepmount-hold-'))
  t.teardown(async () => {
    for (const { pid } of findHolders(folder)) {
      process.kill(pid, 'SIGKILL')
      await gone(pid)
    }
    rmSync(folder, { recursive: true })
  })
  return folder
}

/** A new open file of /dev/fuse. */
export function channel(t: Test): Fd {
  const fd = openSync('/dev/fuse', 'r+') as Fd
  t.teardown(() => closeSync(fd))
  return fd
}

export const fdsOf = (pid: Pid): string[] => readdirSync(`/proc/${pid}/fd`).sort((a, b) => Number(a) - Number(b))

/** True if what the holder has is our very open file. */
export const isSame = (fd: Fd, pid: Pid, remote: RemoteFd): boolean => sameOpenFile(process.pid as Pid, fd, pid, remote)

/** Kilobytes that a process has in memory: all of it, and its share. */
export function memoryOf(pid: Pid): { rss: number; pss: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1])
  return { rss: field('Rss'), pss: field('Pss') }
}

/** The folders of cgroups that are called after this process. */
export function cgroupsOf(pid: Pid): string[] {
  return readMounts()
    .filter(({ type }) => type === 'cgroup2')
    .flatMap(({ mountpoint }) => {
      try {
        return readdirSync(`${mountpoint}/keepmount`).filter((name) => name.startsWith(`holder-${pid}-`))
      } catch (error) {
        if (failedWith(error, 'ENOENT')) return []
        throw error
      }
    })
}

/** Kills a process and waits until that has happened. */
export async function killNow(pid: Pid): Promise<void> {
  process.kill(pid, 'SIGKILL')
  await dead(pid)
}

/** Resolves when a process runs no more; a zombie may be left. */
export const dead = (pid: Pid): Promise<void> =>
  within(
    untilStatus(pid, (status) => /^State:\s+[ZX]/m.test(status)),
    10_000,
    `the death of ${pid}`,
  )

/** Resolves when a process runs no more and has left us no zombie; another parent may take its time. */
export const gone = (pid: Pid): Promise<void> =>
  within(
    untilStatus(pid, (status) => /^State:\s+[ZX]/m.test(status) && !status.includes(`\nPPid:\t${process.pid}\n`)),
    10_000,
    `the end of ${pid}`,
  )

/** Resolves when the status file of a process is as wanted, or no more there. */
async function untilStatus(pid: Pid, isWanted: (status: string) => boolean): Promise<void> {
  const until = performance.now() + 10_000
  while (performance.now() < until) {
    try {
      if (isWanted(readFileSync(`/proc/${pid}/status`, 'utf8'))) return
    } catch (error) {
      if (failedWith(error, 'ENOENT', 'ESRCH')) return
      throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** A group that is ended with the test. */
export function groupOf(t: Test, count = 2, options: Parameters<typeof Holders.start>[2] = {}): Holders {
  const group = Holders.start(nameFor(t), count, options)
  t.teardown(() => group.end())
  return group
}

/** The holders of a supervisor that was killed with SIGKILL. */
export async function orphanedHolders(t: Test, name: string, count: number, channels: number): Promise<HolderRecord[]> {
  // Without the options by which a test runner puts its own environment into every process.
  const node = ['env', '-u', 'NODE_OPTIONS', process.execPath]
  const child = new Child([...node, builtProgram('test/hold/keeper'), name, String(count), String(channels)])
  t.teardown(() => child.kill())
  await child.says(/\]\n/)
  await child.kill()
  return JSON.parse(child.stdout) as HolderRecord[]
}

/** The holder's descriptor of a channel. */
export const remoteOf = (holder: Holder, link = '/dev/fuse'): RemoteFd[] =>
  fdsOf(holder.pid)
    .filter((fd) => readlinkSync(`/proc/${holder.pid}/fd/${fd}`) === link)
    .map((fd) => Number(fd) as RemoteFd)
