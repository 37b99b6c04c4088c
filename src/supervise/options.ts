// What a user can ask of a managed mount. Names and meaning of the restart options are systemd's, see systemd.service(5)
// and systemd.unit(5); times are in seconds here as there, and may have fractions.

export const reviveModes = ['graft', 'inherit', 'remount'] as const
export type ReviveMode = (typeof reviveModes)[number]

export const restartPolicies = ['no', 'on-success', 'on-failure', 'on-abnormal', 'on-abort', 'always'] as const
export type RestartPolicy = (typeof restartPolicies)[number]

export const giveUpActions = ['abort', 'umount'] as const
export type GiveUpAction = (typeof giveUpActions)[number]

export const afterHealModes = ['channel', 'relay'] as const
/** Whether a grafted daemon gets the channel itself when that is possible, or stays behind the relay. */
export type AfterHeal = (typeof afterHealModes)[number]

/** What becomes of requests that a dead life had read and not answered. */
export type InFlightPolicy =
  | { readonly kind: 'resend' }
  | { readonly kind: 'hold' }
  /** `errno` is positive. */
  | { readonly kind: 'fail'; readonly errno: number }

export interface MountOptions {
  readonly name: string
  /** The user's command, as it was given. */
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Where the daemon mounts, if the user said so; otherwise it is found. */
  readonly mountpoint: string | null
  readonly revive: ReviveMode
  readonly afterHeal: AfterHeal
  readonly inFlight: InFlightPolicy
  readonly restart: RestartPolicy
  readonly restartSec: number
  readonly restartSteps: number
  readonly restartMaxDelaySec: number
  readonly startLimitBurst: number
  /** 0: no limit. */
  readonly startLimitIntervalSec: number
  /** The longest pause, from the death of a life to the first answer of a later one. */
  readonly holdTimeoutSec: number
  readonly onGiveUp: GiveUpAction
  readonly timeoutStartSec: number
  readonly timeoutStopSec: number
  readonly holders: number
}

export const defaultOptions = {
  mountpoint: null,
  revive: 'graft',
  afterHeal: 'channel',
  inFlight: { kind: 'resend' },
  restart: 'always',
  restartSec: 0.1,
  restartSteps: 0,
  restartMaxDelaySec: 30,
  startLimitBurst: 5,
  startLimitIntervalSec: 10,
  holdTimeoutSec: 60,
  onGiveUp: 'abort',
  timeoutStartSec: 90,
  timeoutStopSec: 90,
  holders: 2,
} as const satisfies Omit<MountOptions, 'name' | 'argv' | 'cwd' | 'env'>

/** A mount that is made anew after each crash has no channel that is worth keeping. */
export const holderCount = ({ revive, holders }: MountOptions): number => (revive === 'remount' ? 0 : holders)
