// `keepmount doctor`: tries what this machine and this user can do.
import type { Finding, Need } from './check.js'
import { checks } from './checks.js'

export interface Diagnosis extends Finding {
  readonly id: string
  readonly question: string
  readonly needed: Need
  /** What that means. */
  readonly meaning: string
}

export interface Report {
  /** True if `keepmount run` can work. */
  readonly ok: boolean
  readonly checks: readonly Diagnosis[]
}

/** Checks go one after the other: each sees the machine as the one before left it. */
export async function diagnose(): Promise<Report> {
  const found: Diagnosis[] = []
  for (const { id, question, needed, ifOk, ifNot, probe } of checks) {
    const { ok, detail } = await tried(probe)
    found.push({ id, question, needed, ok, detail, meaning: ok === false ? ifNot : ok ? ifOk : '' })
  }
  return { ok: found.every(({ needed, ok }) => needed !== 'run' || ok === true), checks: found }
}

async function tried(probe: () => Finding | Promise<Finding>): Promise<Finding> {
  try {
    return await probe()
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) }
  }
}
