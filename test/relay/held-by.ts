// Asks a companion which nodeids the kernel holds, and waits for what it says.

import { pollEvents, pollOnce } from '../../src/native/poll.js'
import type { Fd } from '../../src/native/types.js'
import { Prober } from '../../src/relay/companions/prober.js'

const DEADLINE_MS = 20_000

/** @param ids pairs of a lower and an upper half */
export function heldBy(socket: Fd, ids: readonly number[]): readonly boolean[] | null {
  const prober = new Prober(socket)
  let held: readonly boolean[] | null = null
  prober.ask(ids, (each) => {
    held = each
  })
  while (prober.isWaiting && pollOnce(socket, pollEvents.POLLIN, DEADLINE_MS) !== 0) prober.receive()
  return held
}
