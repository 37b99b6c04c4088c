// What a figure depends on besides the code.
import { execFileSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { rounded } from '../workload/statistics.js'

export interface Machine {
  readonly kernel: string
  readonly arch: string
  readonly node: string
  readonly cpus: number
  readonly cpu: string
  readonly memory_mb: number
  /** Of the last minute. Above the number of cpus, times are longer than the daemon and keepmount alone make them. */
  readonly load: number
  readonly fio: string
}

export function machine(): Machine {
  const all = cpus()
  return {
    kernel: release(),
    arch: process.arch,
    node: process.version,
    cpus: all.length,
    cpu: all[0]?.model.trim() ?? '',
    memory_mb: Math.round(totalmem() / 2 ** 20),
    load: rounded(loadavg()[0] ?? Number.NaN, 2),
    fio: versionOfFio(),
  }
}

function versionOfFio(): string {
  try {
    return execFileSync('fio', ['--version'], { encoding: 'utf8' }).trim()
  } catch {
    return 'none'
  }
}
