// How often to look for a message before going to sleep. Sleeping and being woken costs more than the answer of a quick
// daemon takes, most of all where an idle processor is left to the hypervisor. But looking keeps a processor from whoever
// else would run on it, maybe from the daemon itself. So it is tried, and goes on as long as it mostly pays.

/** Each costs about a microsecond. An idle processor takes 20 µs to wake, and a daemon 80 for 128 kB. */
const MOST_ROUNDS = 400
/** What a look that was in vain costs, in looks that paid. */
const PRICE = 4
const MOST_CREDIT = 32
const LONGEST_REST = 1024

export class Patience {
  private credit = MOST_CREDIT / 2
  /** Turns until it is tried again, and how many there are after the next failure. */
  private rest = 0
  private nextRest = 8

  /** How often to look this time. */
  rounds(): number {
    if (this.rest === 0) return MOST_ROUNDS
    this.rest--
    return 1
  }

  /**
   * @param rounds what `rounds` said
   * @param left how many were left when a message came; 0 if it came only after a sleep
   */
  learn(rounds: number, left: number): void {
    // What was there at once tells nothing.
    if (rounds === 1 || left === rounds) return
    if (left > 0) {
      this.nextRest = 8
      if (this.credit < MOST_CREDIT) this.credit++
      return
    }
    this.credit -= PRICE
    if (this.credit > 0) return
    this.credit = 1
    this.rest = this.nextRest
    this.nextRest = Math.min(LONGEST_REST, this.nextRest * 2)
  }
}
