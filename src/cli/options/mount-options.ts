// The options of `keepmount run`, a row each: how it is written, what it means, what it takes.
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { KeepmountError } from '../../errors/error.js'
import { PLACE } from '../../revive/arguments.js'
import {
  afterHealModes,
  defaultOptions,
  giveUpActions,
  type InFlightPolicy,
  type MountOptions,
  restartPolicies,
  reviveModes,
} from '../../supervise/options.js'
import { parseInFlight } from './in-flight.js'
import { defaultName, isName, LONGEST_NAME } from './name.js'
import { parseTimespan } from './timespan.js'

interface Row<Value> {
  readonly flags: string
  readonly text: string
  /** What it takes, for the one who gave something else. */
  readonly expected: string
  /** Null for what it does not take. */
  readonly parse: (text: string) => Value | null
  readonly default?: Value
  /** The default as the user would write it. */
  readonly shown?: string
}

type OnCommandLine = Omit<MountOptions, 'name' | 'argv' | 'cwd' | 'env'> & { name: string | undefined }

const SPAN = 'a time such as 5, 500ms or "2min 20s", at most 24 days'
const time = (name: string, text: string, seconds: number): Row<number> => ({
  flags: `--${name} <time>`,
  text,
  expected: SPAN,
  parse: parseTimespan,
  default: seconds,
  shown: `${seconds}s`,
})
/** A time that must not be 0. */
const limit = (name: string, text: string, seconds: number): Row<number> => ({
  ...time(name, text, seconds),
  expected: `${SPAN}, above 0`,
  parse: (given) => parseTimespan(given) || null,
})
const count = (name: string, text: string, least: number, most: number, value: number): Row<number> => ({
  flags: `--${name} <n>`,
  text,
  expected: `a whole number from ${least} to ${most}`,
  parse: (given) => (/^\d{1,9}$/.test(given) && Number(given) >= least && Number(given) <= most ? Number(given) : null),
  default: value,
  shown: String(value),
})
const choice = <Value extends string>(
  name: string,
  values: readonly Value[],
  text: string,
  value: NoInfer<Value>,
): Row<Value> => ({
  flags: `--${name} <${values.length > 3 ? 'policy' : values.join('|')}>`,
  text: values.length > 3 ? `${text}: ${values.join(', ')}` : text,
  expected: `one of ${values.join(', ')}`,
  parse: (given) => values.find((each) => each === given) ?? null,
  default: value,
  shown: value,
})

export const mountOptionRows: { readonly [Key in keyof OnCommandLine]-?: Row<Exclude<OnCommandLine[Key], undefined>> } =
  {
    name: {
      flags: '--name <name>',
      text: 'name of the mount (default: made from the command and the folder it is run in)',
      expected: `at most ${LONGEST_NAME} letters, digits and ._@-, the first neither . nor -`,
      parse: (given) => (isName(given) ? given : null),
    },
    mountpoint: {
      flags: '--mountpoint <dir>',
      text: 'where the daemon mounts (default: found by itself)',
      expected: 'a folder',
      // By text alone: to follow links here could touch a mount whose daemon is dead.
      parse: (given) => (given === '' ? null : resolve(given)),
    },
    revive: choice('revive', reviveModes, 'how a dead daemon comes back', defaultOptions.revive),
    afterHeal: choice(
      'after-heal',
      afterHealModes,
      'what a grafted daemon serves when nothing of earlier lives is in use',
      defaultOptions.afterHeal,
    ),
    inFlight: {
      flags: '--in-flight <policy>',
      text: 'requests that a dead daemon had read: resend, hold, or fail:ERRNO such as fail:EIO',
      expected: 'resend, hold, or fail:ERRNO such as fail:EIO',
      parse: parseInFlight,
      default: defaultOptions.inFlight as InFlightPolicy,
      shown: 'resend',
    },
    restart: choice('restart', restartPolicies, 'which ends of the daemon start it again', defaultOptions.restart),
    restartSec: time(
      'restart-sec',
      'delay before a restart; the first after a stable time has none',
      defaultOptions.restartSec,
    ),
    restartSteps: count('restart-steps', 'steps in which that delay grows', 0, 1000, defaultOptions.restartSteps),
    restartMaxDelaySec: time('restart-max-delay-sec', 'the delay it grows to', defaultOptions.restartMaxDelaySec),
    startLimitBurst: count(
      'start-limit-burst',
      'restarts allowed per interval',
      0,
      1_000_000,
      defaultOptions.startLimitBurst,
    ),
    startLimitIntervalSec: time(
      'start-limit-interval-sec',
      'that interval; 0: no limit',
      defaultOptions.startLimitIntervalSec,
    ),
    holdTimeoutSec: limit('hold-timeout', 'the longest pause', defaultOptions.holdTimeoutSec),
    onGiveUp: choice('on-give-up', giveUpActions, 'what becomes of a mount that is given up', defaultOptions.onGiveUp),
    timeoutStartSec: limit('timeout-start-sec', 'time for the daemon to mount', defaultOptions.timeoutStartSec),
    timeoutStopSec: limit('timeout-stop-sec', 'time for the daemon to end when asked', defaultOptions.timeoutStopSec),
    holders: count('holders', 'holder processes', 1, 16, defaultOptions.holders),
  }

/** Declares the options. What they do not take is thrown as BAD_OPTION. */
export function addMountOptions(command: Command): Command {
  for (const row of Object.values(mountOptionRows) as Row<unknown>[]) {
    const option = command.createOption(row.flags, row.text)
    if (row.default !== undefined && row.default !== null) option.default(row.default, row.shown)
    command.addOption(
      option.argParser((given) => {
        const value = row.parse(given)
        if (value !== null) return value
        throw new KeepmountError('BAD_OPTION', {
          option: option.long ?? row.flags,
          value: given,
          expected: row.expected,
        })
      }),
    )
  }
  return command
}

/** What was given and the defaults of the rest. A command that says where the channel goes can be handed one. */
export function readMountOptions(command: Command, argv: readonly string[], cwd: string): MountOptions {
  const given: Record<string, unknown> = command.opts()
  const read: Record<string, unknown> = {}
  for (const [key, row] of Object.entries(mountOptionRows) as [string, Row<unknown>][]) {
    read[key] = given[command.createOption(row.flags).attributeName()] ?? row.default ?? null
  }
  // Each row's parse returns its key's type, which the loop above cannot show to the compiler.
  if (!isGiven(command, 'revive') && argv.some((argument) => argument.includes(PLACE))) read.revive = 'inherit'
  const options = read as unknown as Omit<MountOptions, 'argv' | 'cwd' | 'env'> & { name: string | null }
  return { ...options, name: options.name ?? defaultName(argv, cwd), argv, cwd, env: environment() }
}

const isGiven = (command: Command, name: string): boolean => command.getOptionValueSource(name) === 'cli'

const environment = (): Record<string, string> =>
  Object.fromEntries(Object.entries(process.env).filter((each): each is [string, string] => each[1] !== undefined))
