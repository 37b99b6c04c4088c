// The names that a request carries; and how the daemon comes to know those that it is to take away. The kernel has looked up
// every name before it removes or moves it, but it may have done so in an earlier life. A daemon relies on that: fuse-overlayfs
// frees a file twice that is unlinked and that nobody has looked up. What the kernel has looked up in this life is left alone:
// go-fuse may make another file of it, and then takes away the name of that one only.
import { layout } from '../../fuse/layout.js'
import { IN_HEADER_SIZE } from '../../fuse/request.js'
import { type DaemonId, KnownNames } from '../ids/known-names.js'
import { isExchange } from '../resent/exchanges.js'
import type { Found } from '../wire/daemon.js'
import type { Shape } from './shapes.js'
import type { Translator } from './translator.js'

const EINVAL = 22
const ENOTEMPTY = 39
const header = layout('fuse_in_header')
const setxattrIn = layout('fuse_setxattr_in')

/** The names that a request takes away or moves. */
export interface Taken {
  /** What was looked up for its sake, and is to be forgotten once it is answered. */
  readonly found: readonly Found[]
  readonly keys: readonly number[]
  /** What loses a name. */
  readonly unnamed: DaemonId | undefined
  readonly areExchanged: boolean
  /** Both names are one file's. */
  readonly areOne: boolean
  /** What the kernel says to a rename that would put a folder into itself, or in the place of the one that it is in; else 0. */
  readonly errno: number
}

/**
 * Looks up in this life what the request in `wire.request`, which is in the daemon's terms, takes away.
 * @param node the slot of the folder
 * @returns null if it takes nothing away. @throws Ended
 */
export function lookUpTaken(translator: Translator, shape: Shape, length: number, node: number): Taken | null {
  if (!shape.takesNames) return null
  const { nodes, daemon, stale, wire, known, keptOpen } = translator
  const { names } = namesOf(translator, shape, length)
  const { view } = wire.request
  const areExchanged = isExchange(view)
  const found: Found[] = []
  const keys: number[] = []
  const from: DaemonId = { low: nodes.daemonLow[node] ?? 0, high: nodes.daemonHigh[node] ?? 0 }
  // Both renames begin with the folder of the second name.
  const to: DaemonId = { low: view.getUint32(IN_HEADER_SIZE, true), high: view.getUint32(IN_HEADER_SIZE + 4, true) }
  const instead = { found, keys, unnamed: undefined, areExchanged }
  let first: DaemonId | undefined
  let unnamed: DaemonId | undefined
  for (const [i, name] of names.entries()) {
    const { low, high } = i === 0 ? from : to
    const key = KnownNames.key(low, high, name, 0, name.length)
    keys.push(key)
    let id = known.of(key)
    if (!id) {
      const each = daemon.lookup(low, high, name)
      if (each === null || typeof each === 'number') continue
      found.push(each)
      id = each
    }
    if (names.length > 1 && areSame(id, i === 0 ? to : from))
      return { ...instead, areOne: false, errno: i === 0 || areExchanged ? EINVAL : ENOTEMPTY }
    if (i > 0 && first && areSame(first, id)) return { ...instead, areOne: true, errno: 0 }
    first = id
    // The first name of two is only moved.
    if (i < names.length - 1 || areExchanged) continue
    stale.belongings.unnamed(translator, id)
    keptOpen.keep(daemon, nodes, id, i === 0 ? node : nodes.ofDaemon(low, high))
    unnamed = id
  }
  return { found, keys, unnamed, areExchanged, areOne: false, errno: 0 }
}

const areSame = (one: DaemonId, other: DaemonId): boolean => one.low === other.low && one.high === other.high

/**
 * True if the request in `wire.request`, which is in the daemon's terms, renames a name to itself. The kernel asks no daemon
 * for that (libfuse waits for itself then): it has taken one file for two, having found it by a nodeid of an earlier life
 * and, once the name had expired, by one of this life. With ESTALE it looks both names up again. Source: fs/namei.c,
 * vfs_rename and retry_estale.
 */
export function isOntoItself(translator: Translator, shape: Shape, length: number, node: number): boolean {
  if (!shape.isRename) return false
  const { nodes, wire } = translator
  const [low, high] = [
    wire.request.view.getUint32(IN_HEADER_SIZE, true),
    wire.request.view.getUint32(NEWDIR_HIGH, true),
  ]
  if (!nodes.isDaemons(node, low, high)) return false
  const { names } = namesOf(translator, shape, length)
  return names[0] !== undefined && names[1] !== undefined && names[0].equals(names[1])
}
const NEWDIR_HIGH = IN_HEADER_SIZE + 4

/** The request has been answered. @param isDone it has succeeded */
export function settleTaken({ answers, known, stale }: Translator, taken: Taken, isDone: boolean): void {
  answers.forgetLater(taken.found)
  if (!isDone) return
  const [first = 0, second] = taken.keys
  if (second === undefined) known.forget(first)
  else known.move(first, second, taken.areExchanged)
  if (taken.unnamed) stale.doubt(taken.unnamed)
}

/** The names of a request, copied, and where the rest begins. */
export function namesOf(translator: Translator, shape: Shape, length: number): { names: Buffer[]; tail: number } {
  const { bytes, view } = translator.wire.request
  const end = length - 8 * header.total_extlen.get(view, 0)
  let at = shape.nameAt
  if (shape.name === 'SETXATTR') {
    // Which of its two forms it is depends on what INIT agreed on; only one of them makes the lengths meet.
    const short = IN_HEADER_SIZE + setxattrIn.setxattr_flags.offset
    const value = view.getUint32(IN_HEADER_SIZE, true)
    if (bytes.indexOf(0, short) + 1 + value === end) at = short
  }
  const names: Buffer[] = []
  for (let i = 0; i < shape.names; i++) {
    const nul = bytes.indexOf(0, at)
    if (nul < 0 || nul >= end) break
    names.push(Buffer.from(bytes.subarray(at, nul)))
    at = nul + 1
  }
  return { names, tail: at }
}
