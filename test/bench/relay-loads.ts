// The loads for the relay, each of one kind of request, so that the hops of a request show.
import type { Place } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'
import { fio, loads, succeeded } from './loads.js'

interface Row {
  /** Operations or bytes a second. */
  readonly run: (place: Place, ms: number) => Promise<number>
  readonly unit: 'operations' | 'bytes'
  /** Wants a daemon whose names the kernel does not keep, so that every look is a LOOKUP. */
  readonly ofNames: boolean
}

const requests =
  (kind: string, ...more: string[]): Row['run'] =>
  async (place, ms) => {
    const argv = [process.execPath, builtProgram('test/bench/requests'), kind, place.mount, String(ms), ...more]
    return Number((await succeeded(place, argv)).trim())
  }
const operations = (run: Row['run'], ofNames = false): Row => ({ run, unit: 'operations', ofNames })
const bytes = (run: Row['run']): Row => ({ run, unit: 'bytes', ofNames: false })

export const relayLoads = {
  'lookup, there': operations(requests('there'), true),
  'lookup, not there': operations(requests('absent'), true),
  'random read 4k': operations(loads['random read 4k']),
  // Written through the page cache each is a request as well, and asks no alignment of what comes out of a socket.
  'random write 4k': operations((place, ms) => fio(place, ms, 'randwrite', 'write', 0)),
  metadata: operations(loads.metadata),
  'read, 1 MB calls': bytes(requests('read', '1048576')),
  'read, 128 kB calls': bytes(requests('read', '131072')),
  'write, 1 MB calls': bytes(requests('write', '1048576')),
  'write, 128 kB calls': bytes(requests('write', '131072')),
} as const satisfies Record<string, Row>

export type RelayLoad = keyof typeof relayLoads
