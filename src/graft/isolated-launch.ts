// Starting the next life in a mount namespace of its own, in which the old mount is not there: a stock daemon looks at its
// mountpoint before it mounts, and would wait for itself.
import { executable } from '../elf/executable.js'
import { ISOLATE_REPORT_SIZE, isolateSteps } from '../elf/isolate.js'
import type { Mount } from '../kernel/mountinfo.js'
import { errnoText } from '../native/error.js'
import { type Launch, type Launched, launch } from '../revive/launch.js'
import { GraftError } from './error.js'

export interface IsolatedLaunch extends Launch {
  /** What is unmounted there, in this order; see mountpointsOf. */
  readonly detach: readonly string[]
}

export interface IsolatedLaunched extends Launched {
  /**
   * Resolves when it has its namespace; `go` is for then. Rejects with GraftError `unisolated` (without CAP_SYS_ADMIN:
   * EPERM), or `ended`.
   */
  readonly isolated: Promise<void>
}

/** @throws KeepmountError COMMAND_NOT_EXECUTABLE if no process can be made */
export function launchIsolated({ detach, ...what }: IsolatedLaunch): IsolatedLaunched {
  const launched = launch(what, [executable('isolate'), 'keepmount-isolate', ...detach, ''])
  const isolated = reportOf(launched)
  isolated.catch(() => {})
  return { ...launched, isolated }
}

function reportOf({ word, pid }: Launched): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0)
    word.on('data', (data: Buffer) => {
      bytes = Buffer.concat([bytes, data])
      if (bytes.length < ISOLATE_REPORT_SIZE) return
      const step = bytes.readUInt32LE(0)
      if (step === 0) return resolve()
      const name = Object.entries(isolateSteps).find(([, number]) => number === step)?.[0]
      reject(new GraftError('unisolated', pid, `${name}: ${errnoText(bytes.readUInt32LE(4))}`))
    })
    word.once('close', () => reject(new GraftError('ended', pid)))
  })
}

/**
 * Where a file system is mounted, bind mounts of parts of it included, the last first: in this order all of it can be
 * unmounted. A mountpoint at which something was mounted over it since comes once for each of these.
 */
export function mountpointsOf(mounts: readonly Mount[], device: string): string[] {
  const seen = new Set<string>()
  const order: string[] = []
  for (const mount of mounts) {
    if (mount.device === device) seen.add(mount.mountpoint)
    if (seen.has(mount.mountpoint)) order.push(mount.mountpoint)
  }
  return order.reverse()
}
