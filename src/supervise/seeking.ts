// From the start of a grafted life to its decoy. As long as a life lives and is not grafted, somebody waits here for it: what
// fails because a process has just ended is tried again with those that are left, and the end of the life ends the waiting.
import type { ServedMount } from '../capture/find-mount.js'
import { awaitDecoy, type DecoyWanted, isAbandoned } from '../graft/decoy.js'
import { fdsCalled } from '../graft/descriptors.js'
import { GraftError } from '../graft/error.js'
import type { IsolatedLaunched } from '../graft/isolated-launch.js'
import { Namespace } from '../graft/namespace.js'
import type { Companion } from '../relay/companions/companion.js'
import { freeWhenStuck } from './dying.js'
import { daemonFamily } from './life.js'
import type { ManagedMount } from './managed-mount.js'
import type { Ready } from './standby.js'

/** The wait for the decoy of one life. */
export interface Seeking {
  readonly pid: IsolatedLaunched['pid']
  readonly namespace: Namespace
  /** Comes when the life is over. */
  readonly signal: AbortSignal
  readonly end: () => void
}

/** What can be done meanwhile. */
interface Meanwhile {
  /** The life has got the word. */
  readonly begun: () => void
  /** It has mounted its decoy. */
  readonly mounted: () => void
}

/** Lets an isolated life begin, and waits for its decoy. */
export async function bringUp(
  m: ManagedMount,
  launched: IsolatedLaunched,
  asker: Companion | null,
  meanwhile: Meanwhile,
): Promise<void> {
  const number = m.number
  try {
    await launched.isolated
    if (m.number !== number || m.leader?.pid !== launched.pid) return asker?.end()
    const namespace = Namespace.of(launched.pid)
    launched.go()
    begin(m, { launched, namespace, asker }, meanwhile)
  } catch (error) {
    asker?.end()
    // One that has ended before tells so itself.
    if (m.number === number && m.life && !hasEnded(error) && !m.life.endsWithin(DYING_MS)) refuse(m, error)
  }
}

/** Waits for the decoy of a life that has got the word. */
export function begin(m: ManagedMount, { launched, namespace, asker }: Ready, { begun, mounted }: Meanwhile): void {
  const over = new AbortController()
  const end = () => {
    over.abort()
    namespace.close()
  }
  const seeking = { pid: launched.pid, namespace, signal: over.signal, end }
  m.seeking = seeking
  freeWhenStuck(m, seeking)
  begun()
  void seek(m, seeking, { mounted, asker, isFirst: true })
}

/** @param begun what there is of a life that has just begun */
async function seek(
  m: ManagedMount,
  { pid, namespace, signal }: Seeking,
  begun: Partial<DecoyWanted> = {},
): Promise<void> {
  const family = () => daemonFamily(m.helpers(), null)
  const mountpoint = m.mount?.mountpoint ?? null
  try {
    const decoy = await awaitDecoy({ pid, namespace, family, mountpoint, watcher: m.watcher, signal, ...begun })
    if (!signal.aborted) m.dispatch('decoy_ready', { decoy })
  } catch (error) {
    if (!signal.aborted) notGrafted(m, error)
  }
}

/** Waits on: who had the channel has ended, and perhaps given it to another before. */
export function seekAgain(m: ManagedMount): void {
  const { seeking } = m
  if (seeking) setImmediate(() => seeking.signal.aborted || void seek(m, seeking))
}

/** A life whose decoy could not be had or exchanged. */
export function notGrafted(m: ManagedMount, error: unknown): void {
  if (hasEnded(error) || m.life?.endsWithin(DYING_MS)) seekAgain(m)
  else refuse(m, error)
}

/** It cannot be grafted, for the reason given. */
function refuse(m: ManagedMount, error: unknown): void {
  if (error instanceof GraftError) m.dispatch('refused', { reason: 'not-graftable', detail: error.message })
  else m.fail(error)
}

const hasEnded = (error: unknown): boolean =>
  error instanceof GraftError && (error.reason === 'ended' || error.reason === 'no-channel')

/**
 * Whether a grafted life may be asked for an answer. One that has an io_uring may have begun to read in a way that no exchange
 * of descriptors ends, and what it would answer to such a request would come to the relay: it is found out before.
 */
export async function isWholly(m: ManagedMount, decoy: ServedMount): Promise<boolean> {
  const rings = daemonFamily(m.helpers(), null).filter((pid) => fdsCalled(pid, 'anon_inode:[io_uring]').length > 0)
  const [pid] = rings
  if (pid === undefined) return true
  const abandoned = await abandonment(m, decoy, RING_MS)
  if (abandoned === null) return false
  const isHeld = abandoned === 'meanwhile' || abandoned === 'never'
  if (isHeld) refuseUnproven(m, new GraftError('io-uring', pid))
  return !isHeld
}

/** A grafted life that does not answer soon may have left its channel with somebody nobody knows of, who answers in its place. */
export function suspectServer(m: ManagedMount, decoy: ServedMount): void {
  const { seeking } = m
  setTimeout(async () => {
    if (!seeking || m.seeking !== seeking || m.state !== 'proving') return
    if ((await abandonment(m, decoy)) === 'never') refuseUnproven(m, new GraftError('still-served', seeking.pid))
  }, PATIENCE_MS).unref()
}

/** Null if the life is over first. */
async function abandonment({ seeking }: ManagedMount, { mount }: ServedMount, withinMs = 0) {
  if (!seeking) return null
  const { signal, namespace } = seeking
  const late = withinMs > 0 ? [AbortSignal.timeout(withinMs)] : []
  const abandoned = await isAbandoned(mount, namespace, AbortSignal.any([signal, ...late]))
  return signal.aborted ? null : abandoned
}

/** A mount that has been answered is served, whoever else has a channel. */
function refuseUnproven(m: ManagedMount, error: GraftError): void {
  if (m.state === 'proving') refuse(m, error)
}

/** How soon a life answers that has nothing to do. */
const PATIENCE_MS = 100
/** How long an io_uring may take to let go. */
const RING_MS = 1000

/** How long a process that has been killed may take to be gone. */
export const DYING_MS = 200
