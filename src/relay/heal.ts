// The way back to the channel, as far as it is the relay's: the kernel must use no id that is not the daemon's own. What it
// has merely cached it is made to forget; who holds on to files is looked for in procfs, and whether anybody is left over
// whom procfs does not show, the kernel is asked itself.
import { filesInFlight, type Pin } from './pins.js'
import type { Step } from './protocol.js'

/** Why a mount stays behind its relay for now. */
export interface Kept {
  readonly reason: 'pinned' | 'in-use' | 'unseen'
  /** Who holds on to files. */
  readonly pins: readonly Pin[]
}
/** What a heal needs of the relay. */
export interface Patient {
  /** What a step of the relay's thread gave: 0 or more, or a negative errno. */
  readonly step: (kind: Step) => Promise<number>
  /** All who hold on to files of the mount. */
  readonly pins: () => Pin[]
  /** True if what was found then is certainly there still. */
  readonly isStill: (pin: Pin) => boolean
}

/**
 * Tries to come to a moment when the kernel uses no id but the root's. If it does, the relay reads nothing more until
 * `resume` or `stop`, and the channel blocks again.
 * @param last why not, when it was tried last: if that is so still, a look at all of procfs would be in vain
 * @returns null if it came, else why not
 */
export async function heal({ step, pins, isStill }: Patient, last: Kept | null = null): Promise<Kept | null> {
  if (last?.pins.some(isStill)) return last
  const use = await useNow(step)
  if (use === -EBUSY && last?.reason === 'unseen') return last
  if (use !== -EAGAIN) {
    const seen = pins()
    const obstacles = obstaclesAmong(seen)
    if (obstacles.length > 0) return { reason: 'pinned', pins: obstacles }
    if (use === -EBUSY && seen.length === 0) return { reason: 'unseen', pins: [] }
  }
  // What is forgotten in the first one may be what held the rest.
  for (let i = 0; i < 2; i++) if ((await step('purge')) < 0) return inUse
  if ((await step('probe')) <= 0) return inUse
  const kept = whoIsLeft(await useNow(step), pins())
  if (kept) return kept
  await step('close-root')
  if ((await step('pause')) > 0) return null
  await step('resume')
  return inUse
}

/** Whether anything uses the mount for longer than a look-up takes: who does is there each time it is asked. */
async function useNow(step: Patient['step']): Promise<number> {
  let use = await step('use')
  for (let i = 1; i < MOST_ASKS && use === -EBUSY; i++) use = await step('use')
  return use
}

/** Those that keep the mount from being healed: standing in the root needs no id but 1. */
export const obstaclesAmong = (pins: readonly Pin[]): Pin[] =>
  pins.filter(({ kind, nodeLow, nodeHigh }) => kind === 'open' || nodeLow !== 1 || nodeHigh !== 0)

/**
 * Who holds on to files after the purge. What is held by a path (open, mapped, stood in, on its way) the kernel counts, and
 * procfs has to account for it; watches, binds and mounts on top are seen there alone.
 * @param use what the kernel says of the mount: a negative errno, EAGAIN if nothing uses it, EBUSY if something does
 */
function whoIsLeft(use: number, seen: readonly Pin[]): Kept | null {
  const obstacles = obstaclesAmong(seen)
  if (obstacles.length > 0) return { reason: 'pinned', pins: obstacles }
  if (use === -EAGAIN) return null
  if (use === -EBUSY && seen.length === 0) return { reason: 'unseen', pins: [] }
  const inFlight = filesInFlight()
  return inFlight.length === 0 ? null : { reason: 'unseen', pins: inFlight }
}

const MOST_ASKS = 16
const EAGAIN = 11
const EBUSY = 16
const inUse: Kept = { reason: 'in-use', pins: [] }
