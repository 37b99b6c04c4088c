// The look for what applications hold on to, step by step: so that messages are served in between, however many processes the
// machine has.
import { availableParallelism } from 'node:os'
import type { Pin } from './pin.js'
import { scanning } from './pins.js'

/** With two processors, a scan beside the start of the daemon makes that longer by what it takes itself. */
export const HAS_ROOM = availableParallelism() > 2

export class Scan {
  /** Null until all has been looked at. */
  pins: readonly Pin[] | null = null
  private readonly steps: ReturnType<typeof scanning>

  constructor(
    readonly device: string,
    excludePids: readonly number[],
    looker: number,
  ) {
    this.steps = scanning(device, new Set(excludePids), looker)
  }

  step(): void {
    const { done, value } = this.steps.next()
    if (done) this.pins = value
  }
}
