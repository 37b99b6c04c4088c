// When and how soon a dead life is followed by another: systemd's options with systemd's meaning. Source:
// systemd.service(5) (Restart=, RestartSec=, RestartSteps=, RestartMaxDelaySec=), systemd.unit(5) (StartLimit…).
import { constants } from 'node:os'
import type { Exit } from '../native/process.js'
import type { MountOptions, RestartPolicy } from '../supervise/options.js'

type Ending = 'clean' | 'code' | 'signal' | 'core'

/** Which endings each policy restarts: the table of systemd.service(5). */
const restarted = {
  no: [],
  'on-success': ['clean'],
  'on-failure': ['code', 'signal', 'core'],
  'on-abnormal': ['signal', 'core'],
  'on-abort': ['signal', 'core'],
  always: ['clean', 'code', 'signal', 'core'],
} as const satisfies Record<RestartPolicy, readonly Ending[]>

const { SIGHUP, SIGINT, SIGTERM, SIGPIPE } = constants.signals
const cleanSignals: readonly number[] = [SIGHUP, SIGINT, SIGTERM, SIGPIPE]

/** How a life ended, as the policies see it; one that the kernel does not tell counts as a failure. */
export function endingOf({ code, signal }: Exit): Ending {
  if (signal !== null) return cleanSignals.includes(signal) ? 'clean' : 'signal'
  return code === 0 ? 'clean' : 'code'
}

export const restarts = (policy: RestartPolicy, exit: Exit): boolean =>
  (restarted[policy] as readonly Ending[]).includes(endingOf(exit))

/**
 * The delay before a restart, in ms.
 * @param nth 1 for the first since the mount was last stable, which is immediate
 */
export function restartDelayMs(
  nth: number,
  options: Pick<MountOptions, 'restartSec' | 'restartSteps' | 'restartMaxDelaySec'>,
): number {
  const { restartSec, restartSteps, restartMaxDelaySec } = options
  if (nth <= 1) return 0
  if (restartSteps <= 0 || restartSec <= 0 || restartMaxDelaySec <= restartSec) return restartSec * 1000
  const step = Math.min(nth - 2, restartSteps)
  return restartSec * 1000 * (restartMaxDelaySec / restartSec) ** (step / restartSteps)
}

/** At most `burst` starts within `intervalSec`; 0 seconds for no limit. */
export class StartLimit {
  private readonly starts: number[] = []

  constructor(
    private readonly burst: number,
    private readonly intervalSec: number,
  ) {}

  /** Counts a start at `now` (ms). False if it is one too many. */
  allows(now: number): boolean {
    if (this.intervalSec <= 0 || this.burst <= 0) return true
    const since = now - this.intervalSec * 1000
    while (this.starts[0] !== undefined && this.starts[0] <= since) this.starts.shift()
    if (this.starts.length >= this.burst) return false
    this.starts.push(now)
    return true
  }
}
