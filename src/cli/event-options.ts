// What `run` and `adopt` have in common: where the events of a managed mount go.
import type { Command } from 'commander'
import { knownMounts } from '../state/folder.js'
import type { EventSink } from '../supervise/events.js'
import { EventLog } from './output/event-log.js'
import { LiveView } from './view/live-view.js'

export const addEventOptions = (command: Command): Command =>
  command
    .option('--events <file>', 'append each event to a file as a line of JSON; - for stdout')
    .option('-q, --quiet', 'show nothing on stderr but errors')

/**
 * Runs `work` with the sink that the options ask for, and flushes it at the end.
 * @param mountpoint one that is about to be managed, if it is known
 */
export async function withEvents(
  command: Command,
  mountpoint: string | null,
  work: (emit: EventSink) => Promise<number>,
): Promise<number> {
  const { events, quiet } = command.opts<{ events?: string; quiet?: boolean }>()
  const log = events === undefined ? null : EventLog.open(events, managedMountpoints(mountpoint))
  const view = quiet ? null : LiveView.onStderr()
  try {
    return await work((event) => {
      log?.write(event)
      view?.show(event)
    })
  } finally {
    await Promise.all([view?.close(), log?.close()])
  }
}

function managedMountpoints(mountpoint: string | null): string[] {
  const known = knownMounts().flatMap(({ record }) => record?.mount?.mountpoint ?? [])
  return mountpoint === null ? known : [...known, mountpoint]
}
