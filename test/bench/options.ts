// How much is measured: `--quick` is for a test that looks at the shape, not at the figures.
export const parts = {
  a: 'operations with and without keepmount',
  b: 'kill -9 until the next operation, beside a cold start',
  c: 'the same for a remount and for a respawn loop',
  d: 'memory',
  e: 'stock daemons behind the relay and by themselves',
} as const

export type Part = keyof typeof parts

export interface BenchOptions {
  readonly parts: readonly Part[]
  readonly effort: Effort
  readonly progress: (text: string) => void
}

export interface Effort {
  /** Pairs of slices for each operation, and how long a slice is. */
  readonly pairs: number
  readonly slice_ms: number
  /** Pairs of slices of the same length for each load of the relay. */
  readonly relay_pairs: number
  /** Deaths of each kind. */
  readonly deaths: number
  /** Held channels. */
  readonly channels: readonly number[]
  /** Crashes after which the supervisor is measured again. */
  readonly crashes: number
}

export const efforts = {
  quick: { pairs: 1, slice_ms: 50, relay_pairs: 1, deaths: 3, channels: [1, 100], crashes: 3 },
  full: { pairs: 20, slice_ms: 500, relay_pairs: 12, deaths: 40, channels: [1, 100, 1000], crashes: 20 },
} as const satisfies Record<string, Effort>
