// What goes with a file of an earlier life that was found, as long as the kernel holds it.

import type { DaemonId } from '../ids/known-names.js'
import type { Memory } from '../memory.js'
import type { Translator } from '../translate/translator.js'
import type { Daemon } from '../wire/daemon.js'
import { namesIn } from '../wire/directory.js'
import { hiddenNode, type Known, removeHidden } from './identity.js'
import { idOf, keyOf } from './query.js'

export class Belongings {
  /** The folders above what was found, kept as long as that. By kernel's id. */
  private readonly above = new Map<string, readonly DaemonId[]>()
  /** When folders were changed last, as far as the kernel knew before this life, in nanoseconds. By kernel's id. */
  private readonly folders = new Map<string, bigint>()

  constructor(private readonly memory: Memory) {}

  /** A daemon gave these names to an unlinked open file: they are removed when the kernel forgets it. */
  addHidden(key: string, names: readonly Buffer[]): void {
    this.memory.hidden.set(key, names)
  }

  /** Removes the names of those that nobody has open any more. @throws Ended */
  removeLeft({ daemon, nodes }: Translator): void {
    for (const [key, names] of [...this.memory.hidden]) {
      const { low, high } = idOf(key)
      if (nodes.ofKernel(low, high) < 0) this.removeHidden(daemon, key, names)
    }
  }

  /**
   * Removes what was hidden of a file, of which only its inode is known, from the folders that are in use.
   * @param hiddenAs the lower half of the nodeid that it had in the life that hid it
   * @throws Ended
   */
  removeFrom({ daemon, nodes }: Translator, hiddenAs: number, known: Known): void {
    if (known.ino === BigInt(hiddenAs)) return
    for (const key of ['0:1', ...this.folders.keys()]) {
      const { low, high } = idOf(key)
      const slot = nodes.ofKernel(low, high)
      if (slot < 0) continue
      const folder = { low: nodes.daemonLow[slot] ?? 0, high: nodes.daemonHigh[slot] ?? 0 }
      for (const name of namesIn(daemon, folder.low, folder.high) ?? []) {
        const found = hiddenNode(name) === hiddenAs ? daemon.lookup(folder.low, folder.high, name) : null
        if (found === null || typeof found === 'number') continue
        if (found.ino === known.ino) daemon.ask('UNLINK', folder.low, folder.high, name, Buffer.alloc(1))
        daemon.forget(found.low, found.high, 1)
      }
    }
  }

  /** What a life dies of is still to be removed in the next one. */
  private removeHidden(daemon: Daemon, key: string, names: readonly Buffer[]): void {
    removeHidden(daemon, names)
    this.memory.hidden.delete(key)
  }

  addAbove(key: string, folders: readonly DaemonId[]): void {
    this.above.set(key, [...(this.above.get(key) ?? []), ...folders])
  }

  addModified(key: string, mtime: bigint): void {
    this.folders.set(key, mtime)
  }

  /** When this folder was changed last, as far as the kernel knew before this life; undefined if that is not known. */
  modified(low: number, high: number): bigint | undefined {
    return this.folders.get(keyOf(low, high))
  }

  /** The daemon is to take away the name of what it knows by this id. */
  unnamed({ nodes }: Translator, { low, high }: DaemonId): void {
    for (let slot = nodes.ofDaemon(low, high); slot >= 0; slot = nodes.nextOf(slot))
      if (nodes.stale[slot])
        this.memory.hiddenAs.set(keyOf(nodes.kernelLow[slot] ?? 0, nodes.kernelHigh[slot] ?? 0), low)
  }

  /** The kernel forgot lookups of a nodeid; if it holds it no more, what was hidden for its sake goes. @throws Ended */
  left(translator: Translator, low: number, high: number): void {
    const { nodes, daemon, keptOpen, answers } = translator
    const slot = nodes.ofKernel(low, high)
    if (slot >= 0 && !nodes.isUnsure(slot)) return
    // Nobody has it open since an earlier life, also if the kernel has been told it once more: what is open it does not drop.
    keptOpen.close(daemon, low, high)
    const { hiddenAs, hidden } = this.memory
    if (hidden.size + this.folders.size + this.above.size + hiddenAs.size === 0) return
    const key = keyOf(low, high)
    if (slot < 0) {
      hiddenAs.delete(key)
      this.folders.delete(key)
      answers.forgetLater(this.above.get(key) ?? [])
      this.above.delete(key)
    }
    const names = hidden.get(key)
    if (names) this.removeHidden(daemon, key, names)
  }
}
