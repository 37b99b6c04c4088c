// One thing that doctor tries.

/** What a check is needed for: any mount at all, keeping one over a crash, doing that for stock daemons, or only to do something better. */
export const needs = ['run', 'inherit', 'graft', 'nice'] as const
export type Need = (typeof needs)[number]

export interface Finding {
  /** Null if it cannot be told here. */
  readonly ok: boolean | null
  /** What was seen. */
  readonly detail: string
}

export interface Check {
  readonly id: string
  readonly question: string
  readonly needed: Need
  /** What it means for the user either way. */
  readonly ifOk: string
  readonly ifNot: string
  /** @throws anything; that is a finding too */
  readonly probe: () => Finding | Promise<Finding>
}

export const yes = (detail: string): Finding => ({ ok: true, detail })
export const no = (detail: string): Finding => ({ ok: false, detail })
export const unknown = (detail: string): Finding => ({ ok: null, detail })
