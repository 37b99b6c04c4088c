// The way back to the channel, as far as it is the relay's: the kernel must use no id that is not the daemon's own. What it
// has merely cached it is made to forget; who holds on to files is looked for in procfs, and whether anybody is left over
// whom procfs does not show, the kernel is asked itself.
//
// While applications work on the mount, somebody always uses it, and what the kernel says is no proof. Then the relay has to
// know all ids by their own numbers, procfs may show none that it does not know, and none of an earlier life may have come up
// for a while, although nothing is cached any more: whoever still holds one would have to be within a call for all that time
// and ask for nothing.

import type { Pin } from './in-use/pin.js'
import { filesInFlight } from './in-use/pins.js'
import type { RelayCounts } from './index.js'
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
  readonly counts: () => Pick<RelayCounts, 'foreignNodes' | 'translated'>
  /** All who hold on to files of the mount. */
  readonly pins: () => Pin[]
  /** True if what was found then is certainly there still. */
  readonly isStill: (pin: Pin) => boolean
  /** Those whose nodeids are not the daemon's own. */
  readonly strangersAmong: (pins: readonly Pin[]) => Promise<Pin[]>
}

/** How long no id of an earlier life may have come up where the mount is in use. */
const SILENCE_MS = 1000

/**
 * Tries to come to a moment when the kernel uses no id but the daemon's own. If it does, the relay reads nothing more until
 * `resume` or `stop`, and the channel blocks again.
 * @param last why not, when it was tried last: if that is so still, a look at all of procfs would be in vain
 * @returns null if it came, else why not
 */
export async function heal(patient: Patient, last: Kept | null = null): Promise<Kept | null> {
  const { step, isStill, counts } = patient
  if (last?.pins.some(isStill)) return last
  const { translated } = counts()
  const use = await useNow(step)
  // Who asks for something has it in use just for that.
  let isLoaded = use === -EBUSY && counts().translated !== translated
  if (use === -EBUSY && !isLoaded && last?.reason === 'unseen') return last
  if (use !== -EAGAIN) {
    const seen = await look(patient)
    const kept = whoIsLeft(use, seen, isLoaded)
    if (kept) return kept
    isLoaded = seen.own.length > 0 || (isLoaded && seen.count === 0)
    if (isLoaded && (counts().foreignNodes > 0 || (await step('silence')) < SILENCE_MS)) return inUse
  }
  // What is forgotten in the first one may be what held the rest.
  for (let i = 0; i < 2; i++) if ((await step('purge')) < 0) return inUse
  const areAllKnown = (await step('probe')) > 0
  const now = await useNow(step)
  const kept = whoIsLeft(now, await look(patient), isLoaded) ?? whatIsOnItsWay(now)
  if (kept) return kept
  if (!areAllKnown) return inUse
  await step('close-root')
  const isPaused = (await step('pause')) > 0
  if (isPaused && (!isLoaded || (await step('silence')) >= SILENCE_MS)) return null
  await step('resume')
  return inUse
}

/** Whether anything uses the mount for longer than a look-up takes: who does is there each time it is asked. */
async function useNow(step: Patient['step']): Promise<number> {
  let use = await step('use')
  for (let i = 1; i < MOST_ASKS && use === -EBUSY; i++) use = await step('use')
  return use
}

/** Those that may keep the mount from being healed: standing in the root needs no id but 1. */
export const obstaclesAmong = (pins: readonly Pin[]): Pin[] =>
  pins.filter(({ kind, nodeLow, nodeHigh }) => kind === 'open' || nodeLow !== 1 || nodeHigh !== 0)

/** Who holds on to files: by ids of which each side has its own, or by the daemon's; and how many there are in all. */
interface Seen {
  readonly strange: readonly Pin[]
  readonly own: readonly Pin[]
  readonly count: number
}

async function look({ pins, strangersAmong }: Patient): Promise<Seen> {
  const seen = pins()
  const holders = obstaclesAmong(seen)
  // The root's own handles may be an earlier life's.
  const isStrange = new Set([...(await strangersAmong(holders)), ...holders.filter(isRoot)])
  return { strange: [...isStrange], own: holders.filter((pin) => !isStrange.has(pin)), count: seen.length }
}

const isRoot = ({ nodeLow, nodeHigh }: Pin): boolean => nodeLow === 1 && nodeHigh === 0

/**
 * Who holds on to files. What is held by a path (open, mapped, stood in, on its way) the kernel counts, and procfs has to
 * account for it; watches, binds and mounts on top are seen there alone.
 * @param use what the kernel says of the mount: a negative errno, EAGAIN if nothing uses it, EBUSY if something does
 * @param isLoaded true if somebody works on the mount who need not hold on to anything
 */
function whoIsLeft(use: number, { strange, count }: Seen, isLoaded: boolean): Kept | null {
  if (strange.length > 0) return { reason: 'pinned', pins: strange }
  return use === -EBUSY && count === 0 && !isLoaded ? { reason: 'unseen', pins: [] } : null
}

/** Where the kernel does not say that nothing uses the mount. */
function whatIsOnItsWay(use: number): Kept | null {
  const inFlight = use === -EAGAIN ? [] : filesInFlight()
  return inFlight.length === 0 ? null : { reason: 'unseen', pins: inFlight }
}

const MOST_ASKS = 16
const EAGAIN = 11
const EBUSY = 16
const inUse: Kept = { reason: 'in-use', pins: [] }
