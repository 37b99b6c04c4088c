// (d) What lives beside the daemon: the holders, by the channels they hold, and the supervisor.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Holders } from '../../src/hold/holders.js'
import type { Fd } from '../../src/native/types.js'
import type { BenchOptions } from './options.js'
import { closePlace } from './places.js'
import { daemons, kept } from './side.js'

export interface MemoryResult {
  readonly holders: readonly HoldersMemory[]
  readonly supervisor: {
    readonly rss_kb: number
    readonly pss_kb: number
    readonly crashes: number
    readonly rss_kb_after: number
    readonly pss_kb_after: number
  }
}

export interface HoldersMemory {
  readonly channels: number
  /** Of each holder. */
  readonly pss_kb: readonly number[]
  readonly rss_kb: readonly number[]
}

export async function measureMemory({ effort, progress }: BenchOptions): Promise<MemoryResult> {
  const holders = effort.channels.map((channels) => {
    progress(`memory: ${channels} channels`)
    return holdersWith(channels)
  })
  progress('memory: the supervisor')
  const { place, it } = await kept(daemons.mirrorfs)
  try {
    const fresh = memoryOf(it.pid)
    for (let i = 0; i < effort.crashes; i++) await it.crash()
    const after = memoryOf(it.pid)
    const supervisor = {
      rss_kb: fresh.rss_kb,
      pss_kb: fresh.pss_kb,
      crashes: effort.crashes,
      rss_kb_after: after.rss_kb,
      pss_kb_after: after.pss_kb,
    }
    return { holders, supervisor }
  } finally {
    await closePlace(place)
  }
}

/** Two holders, as by default. A channel is an open file of /dev/fuse, mounted or not. */
function holdersWith(count: number): HoldersMemory {
  const name = mkdtempSync(join(tmpdir(), 'keepmount-bench-'))
  const group = Holders.start(name, 2)
  try {
    for (let i = 0; i < count; i++) {
      const channel = openSync('/dev/fuse', 'r+') as Fd
      group.hold(channel)
      closeSync(channel)
    }
    const memory = group.pids().map(memoryOf)
    return { channels: count, pss_kb: memory.map(({ pss_kb }) => pss_kb), rss_kb: memory.map(({ rss_kb }) => rss_kb) }
  } finally {
    group.end()
    rmSync(name, { recursive: true })
  }
}

/** Source: proc_pid_smaps_rollup, Documentation/filesystems/proc.rst. */
function memoryOf(pid: number): { rss_kb: number; pss_kb: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1])
  return { rss_kb: field('Rss'), pss_kb: field('Pss') }
}
