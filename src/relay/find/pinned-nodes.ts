// What has to be found before the first request is served: what applications hold on to, and what earlier lives have left.

import type { Memory } from '../memory.js'
import { isOfNoName, namesBelow } from './identity.js'
import { idOf, keyOf, type Query, queryFor } from './query.js'

/** A nodeid that something holds on to, as the scan of processes found it. */
export interface PinnedNode {
  readonly low: number
  readonly high: number
  readonly generation: number
  /** Somebody has it open, and does not only stand in it or watch it. */
  readonly isOpen?: boolean
  /** For where the resolver can't be had; null if it has none in our mount namespace. */
  readonly path: string | null
}

/** The names below the mountpoint of those that have any, by kernel's id. */
export function pinnedNames(pins: readonly PinnedNode[], mountpoint: Buffer): Map<string, readonly Buffer[]> {
  const all = new Map<string, readonly Buffer[]>()
  for (const { low, high, path } of pins) {
    const bytes = Buffer.from(path ?? '')
    const names = path === null || isRoot(low, high) || isOfNoName(bytes) ? null : namesBelow(mountpoint, bytes)
    if (names !== null && names.length > 0) all.set(keyOf(low, high), names)
  }
  return all
}

/** By kernel's id. */
export function pinnedQueries(pins: readonly PinnedNode[], memory: Memory): Map<string, Query> {
  const queries = new Map<string, Query>()
  for (const { low, high, generation, path } of pins)
    if (!isRoot(low, high))
      queries.set(keyOf(low, high), queryFor(low, high, [generation], path === null ? null : Buffer.from(path)))
  const add = (low: number, high: number): Query | undefined => {
    const key = keyOf(low, high)
    if (isRoot(low, high) || queries.has(key)) return undefined
    const query = queryFor(low, high, memory.generations)
    queries.set(key, query)
    return query
  }
  for (const { folder } of memory.leavings.values()) add(folder.low, folder.high)
  for (const key of memory.times.keys()) {
    const { low, high } = idOf(key)
    const query = add(low, high)
    if (query) query.isOptional = true
  }
  return queries
}

const isRoot = (low: number, high: number): boolean => low === 1 && high === 0
