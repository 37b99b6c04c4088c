// What becomes of the requests that a dead life had read and not answered. It is done before every new life, since a
// life can read a request and die before it is ready.

import type { Fd } from '../native/types.js'
import type { InFlightPolicy } from '../supervise/options.js'
import { failInFlight } from './fail.js'
import { resend } from './resend.js'

export interface Settled {
  /** What was done: `resend`, `hold` or `fail:EINTR`. */
  readonly policy: string
  /** Requests answered with an error; null where they were not. */
  readonly failed: number | null
}

/**
 * @param channel the mount's channel, which no daemon reads now
 * @param connection its number in fusectl
 */
export function settle(channel: Fd, connection: number, mountpoint: string, policy: InFlightPolicy): Settled {
  switch (policy.kind) {
    case 'hold':
      return { policy: 'hold', failed: null }
    case 'fail':
      return failInFlight(channel, connection, mountpoint, policy.errno)
    case 'resend':
      if (resend(channel)) return { policy: 'resend', failed: null }
      return failInFlight(channel, connection, mountpoint, EINTR)
  }
}

/** What a request ends with on a kernel that cannot send it again: the application may try again itself. */
const EINTR = 4
