// The operations that are counted: each load works on a mount for a slice of time and says how many a second it did.
import { join } from 'node:path'
import { runToEnd } from '../fixtures/child.js'
import type { Place } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'

export const loads = {
  'random read 4k': (place: Place, ms: number) => fio(place, ms, 'randread', 'read'),
  'random write 4k': (place: Place, ms: number) => fio(place, ms, 'randwrite', 'write'),
  metadata: async (place: Place, ms: number): Promise<number> => {
    const argv = [process.execPath, builtProgram('test/bench/names'), place.mount, String(ms)]
    return Number((await succeeded(place, argv)).trim())
  },
} as const satisfies Record<string, (place: Place, ms: number) => Promise<number>>

export type Load = keyof typeof loads

/** Past the page cache, so that each operation is the daemon's. */
export async function fio(
  place: Place,
  ms: number,
  rw: string,
  side: 'read' | 'write',
  direct: 0 | 1 = 1,
): Promise<number> {
  const argv = [
    'fio',
    `--name=${rw}`,
    `--filename=${join(place.mount, 'fio.data')}`,
    `--rw=${rw}`,
    '--bs=4k',
    '--size=16m',
    `--direct=${direct}`,
    '--ioengine=psync',
    '--thread',
    '--time_based',
    `--runtime=${ms}ms`,
    '--output-format=json',
  ]
  const text = await succeeded(place, argv)
  const { jobs } = JSON.parse(text.slice(text.indexOf('{'))) as { jobs: Record<'read' | 'write', { iops: number }>[] }
  return jobs[0]?.[side].iops ?? Number.NaN
}

/** What a command that ends well says. */
export async function succeeded(place: Place, argv: readonly string[]): Promise<string> {
  const { code, signal, stdout, stderr } = await runToEnd(argv, { env: place.env, cwd: place.folder })
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${signal ?? code}: ${stderr}${stdout}`)
  return stdout
}
