// What the oracle is asked for.
import type { Crashes } from './crashes.js'
import type { Cut } from './cuts.js'
import type { EitherWay } from './either-way.js'
import type { Left } from './verdict.js'

export interface OracleOptions {
  /** An existing folder; the oracle works in a new one below it and removes that in the end. */
  readonly folder: string
  /** The same folder by another way, as the one that a mirror shows: it is compared too. */
  readonly beneath?: string
  /** How many work at once. Default 3. */
  readonly processes?: number
  /** The same seed gives the same operations. Default: any. */
  readonly seed?: number
  /** Each process ends after so many steps, or seconds, or when the signal comes, whichever is first. Default 1000 steps. */
  readonly operations?: number
  readonly seconds?: number
  readonly signal?: AbortSignal
  /** Ends with the first finding. */
  readonly untilFound?: boolean
  /** No answer after so many milliseconds: it hangs. Default 30,000. */
  readonly deadline?: number
  /** What the file system cannot do. Default: found out first, see calibrate. */
  readonly left?: readonly Left[]
  /**
   * Findings of these sorts, as `sortOf` names them, are no news: the file system is like that. A chapter that meets one
   * ends, since the model has gone another way.
   */
  readonly known?: ReadonlySet<string>
  /** When the file system is crashed meanwhile: see either-way.ts. */
  readonly crashes?: Crashes
  /** Answers of the daemon's own that are as right as the model's, without crashes as well: see either-way.ts. */
  readonly ways?: readonly EitherWay[]
  /** What the daemon does in several steps, and crashes cut in two: see cuts.ts. */
  readonly cuts?: readonly Cut[]
  /** For how many milliseconds the kernel may keep the attributes of a file. Default 1000. */
  readonly attrTimeout?: number
  /** A shorter run of one process: only these steps of it are done, with what the others would have made left away. */
  readonly only?: { readonly process: number; readonly steps: readonly StepRange[] }
  readonly onProgress?: (progress: Progress) => void
  /** Every operation, before it is asked for. */
  readonly onOperation?: (process: number, step: number, operation: string) => void
  /** The program that performs and its arguments. Default: the oracle's own. */
  readonly performer?: readonly string[]
}

/** Both ends included. */
export type StepRange = readonly [from: number, to: number]

export interface Progress {
  readonly phase: 'calibrated' | 'working' | 'done'
  readonly seed: number
  readonly operations: number
  readonly findings: number
}

export const DEADLINE_MS = 30_000
export const ATTR_TIMEOUT_MS = 1000
