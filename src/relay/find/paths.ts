// What the kernel says of nodeids that it holds: where they are now, and what it has cached of a name.

import type { DaemonId } from '../ids/known-names.js'
import type { Known } from './identity.js'
import { queryFor } from './query.js'
import type { Stale } from './stale.js'

/**
 * Asks for the present paths of nodeids, undefined for what can't be told.
 * @returns false if nobody can be asked
 */
export function pathsOf(
  { line, generations }: Stale,
  nodes: readonly DaemonId[],
  take: (paths: (string | undefined)[]) => void,
): boolean {
  if (!line.isOpen) return false
  const paths = new Array<string | undefined>(nodes.length).fill(undefined)
  let left = nodes.length
  for (const [i, { low, high }] of nodes.entries())
    generations.askWithEach(
      (generation, took) => line.resolve(low, high, generation, took),
      (answer) => {
        paths[i] = answer?.path.toString('latin1')
        if (--left === 0) take(paths)
      },
    )
  return true
}

/**
 * Asks what the kernel has cached of a name in a folder, and with which nodeid. Nothing else that was sent again is settled
 * meanwhile.
 * @param place what no other question is called
 */
export function cachedOf(
  { line, generations, asking }: Stale,
  place: string,
  { low, high }: DaemonId,
  name: Buffer,
  take: (known: Known | null, id: DaemonId) => void,
): void {
  asking.set(place, queryFor(low, high, []))
  generations.askWithEach(
    (generation, took) => line.childOf(low, high, generation, name, took),
    (answer) => {
      asking.delete(place)
      take(answer?.known ?? null, answer?.handle ?? { low: 0, high: 0 })
    },
  )
}
