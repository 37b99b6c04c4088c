// What a supervisor leaves behind for a later one: all that is needed to find the daemon and the holders again and to
// start the next life. It holds the environment of the command, so it is readable by its owner alone.
import { createRequire } from 'node:module'
import type * as Zod from 'zod'
import { afterHealModes, giveUpActions, type MountOptions, restartPolicies, reviveModes } from '../supervise/options.js'
import { relayedReasons } from '../supervise/relayed.js'
import { type State, states } from '../supervise/transitions.js'

/** The schema of a record. zod takes 13 MB and 60 ms, so it is loaded when there is a record to read and not before. */
export function recordSchema(): Schema {
  schema ??= build(createRequire(import.meta.url)('zod') as typeof Zod)
  return schema
}

let schema: Schema | undefined
type Schema = ReturnType<typeof build>

function build(z: typeof Zod) {
  const process = z.object({ pid: z.int().positive(), startTime: z.string() })

  const inFlight = z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('resend') }),
    z.object({ kind: z.literal('hold') }),
    z.object({ kind: z.literal('fail'), errno: z.int().positive() }),
  ])

  const options = z.object({
    name: z.string(),
    argv: z.array(z.string()).min(1),
    cwd: z.string(),
    env: z.record(z.string(), z.string()),
    mountpoint: z.string().nullable(),
    revive: z.enum(reviveModes),
    afterHeal: z.enum(afterHealModes),
    inFlight,
    restart: z.enum(restartPolicies),
    restartSec: z.number(),
    restartSteps: z.number(),
    restartMaxDelaySec: z.number(),
    startLimitBurst: z.number(),
    startLimitIntervalSec: z.number(),
    holdTimeoutSec: z.number(),
    onGiveUp: z.enum(giveUpActions),
    timeoutStartSec: z.number(),
    timeoutStopSec: z.number(),
    holders: z.int().positive(),
  })

  const crash = z.object({
    /** ISO 8601, UTC. */
    time: z.string(),
    life: z.int(),
    pid: z.int().nullable(),
    code: z.int().nullable(),
    signal: z.string().nullable(),
    downtime_ms: z.number().nullable(),
  })

  const healing = z.object({
    reason: z.enum(relayedReasons),
    stale_nodes: z.int(),
    stale_handles: z.int(),
    pins: z.array(z.object({ pid: z.int().nullable(), command: z.string(), path: z.string() })),
  })

  return z.object({
    version: z.literal(1),
    options,
    state: z.enum(states),
    life: z.int().positive(),
    supervisor: process,
    daemon: process.nullable(),
    /** What is to become the next life: it may have begun since this was written. */
    next: process.nullable().default(null),
    /** Null until the daemon has mounted. */
    mount: z
      .object({
        mountpoint: z.string(),
        device: z.string(),
        connection: z.int(),
        /** Who alone may use it; null if we may. */
        owner: z.object({ uid: z.int(), gid: z.int() }).nullable().default(null),
      })
      .nullable(),
    /** `fds[i]` is the holder's descriptor of the mount's channel number i. */
    holders: z.array(process.extend({ fds: z.array(z.int()) })),
    /** A bare daemon's errno to the first question, 0 mostly: what a later life must not do worse than. */
    firstAnswer: z.int().nullable(),
    crashes: z.int(),
    lastCrash: crash.nullable(),
    /** Of a mount behind its relay, as of when it was looked last. */
    healing: healing.nullable().default(null),
  })
}

export type MountRecord = Omit<Zod.infer<Schema>, 'options' | 'state'> & {
  options: MountOptions
  state: State
}
export type Crash = NonNullable<MountRecord['lastCrash']>
