// `--events FILE|-`: one JSON document a line for each event, for programs to follow.
import { resolve } from 'node:path'
import { KeepmountError } from '../../errors/error.js'
import { readMounts } from '../../kernel/mountinfo.js'
import type { MountEvent } from '../../supervise/events.js'
import { Outlet } from './outlet.js'

export class EventLog {
  private constructor(private readonly outlet: Outlet) {}

  /**
   * @param file a path, or `-` for stdout
   * @param managed mountpoints that the file must not lie below: to write there could wait for the mount we keep
   * @throws KeepmountError EVENTS_UNUSABLE
   */
  static open(file: string, managed: readonly string[]): EventLog {
    try {
      if (file === '-') return new EventLog(Outlet.toStandard(1))
      const path = resolve(file)
      const mountpoint = managed.includes(carrierOf(path)) ? carrierOf(path) : null
      if (mountpoint !== null) throw new Error(`it lies on the managed mount ${mountpoint}`)
      return new EventLog(Outlet.toFile(path))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new KeepmountError('EVENTS_UNUSABLE', { file, reason }, { cause: error })
    }
  }

  write(event: MountEvent): void {
    this.outlet.write(`${JSON.stringify(event)}\n`)
  }

  close(): Promise<void> {
    return this.outlet.close()
  }
}

/** The mountpoint of the mount that a path is on, by text alone. */
function carrierOf(path: string): string {
  const below = readMounts()
    .map(({ mountpoint }) => mountpoint)
    .filter((mountpoint) => path.startsWith(mountpoint === '/' ? '/' : `${mountpoint}/`))
  return below.sort((a, b) => b.length - a.length)[0] ?? '/'
}
