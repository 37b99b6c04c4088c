// The look for what applications hold on to, step by step: so that messages are served in between, however many processes the
// machine has.
import { type Pin, scanning } from './pins.js'

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
