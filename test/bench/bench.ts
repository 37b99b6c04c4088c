// The parts of the bench in one run.
import { type DeathsResult, measureDeaths } from './deaths.js'
import { type Machine, machine } from './machine.js'
import { type MemoryResult, measureMemory } from './memory.js'
import { measureOperations, type OperationsResult } from './operations.js'
import type { BenchOptions, Effort } from './options.js'
import { measureRelay, type RelayResult } from './relay.js'

export interface BenchReport {
  readonly date: string
  readonly seconds: number
  readonly machine: Machine
  readonly effort: Effort
  readonly operations: readonly OperationsResult[] | null
  readonly deaths: readonly DeathsResult[] | null
  readonly memory: MemoryResult | null
  readonly relay: readonly RelayResult[] | null
}

export async function bench(options: BenchOptions): Promise<BenchReport> {
  const { parts, effort } = options
  const date = new Date().toISOString()
  const started = performance.now()
  const facts = machine()
  const operations = parts.includes('a') ? await measureOperations(options) : null
  const deaths = parts.includes('b') || parts.includes('c') ? await measureDeaths(options) : null
  const memory = parts.includes('d') ? await measureMemory(options) : null
  const relay = parts.includes('e') ? await measureRelay(options) : null
  const seconds = Math.round((performance.now() - started) / 1000)
  return { date, seconds, machine: facts, effort, operations, deaths, memory, relay }
}
