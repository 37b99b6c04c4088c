// What goes with a file of an earlier life that was found, as long as the kernel holds it.
import { removeHidden } from './identity.js'
import type { DaemonId } from './known-names.js'
import type { Memory } from './memory.js'
import { keyOf } from './query.js'
import type { Translator } from './translator.js'

export class Belongings {
  /** Names that a daemon gave to unlinked open files, to be removed when the kernel forgets them. By kernel's id. */
  private readonly hidden = new Map<string, Buffer[]>()
  /** The folders above what was found, kept as long as that. By kernel's id. */
  private readonly above = new Map<string, readonly DaemonId[]>()
  /** When folders were changed last, as far as the kernel knew before this life, in nanoseconds. By kernel's id. */
  private readonly folders = new Map<string, bigint>()

  constructor(private readonly memory: Memory) {}

  addHidden(key: string, names: Buffer[]): void {
    this.hidden.set(key, names)
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
    if (translator.nodes.ofKernel(low, high) >= 0) return
    translator.keptOpen.close(translator.daemon, low, high)
    const { hiddenAs } = this.memory
    if (this.hidden.size + this.folders.size + this.above.size + hiddenAs.size === 0) return
    const key = keyOf(low, high)
    hiddenAs.delete(key)
    this.folders.delete(key)
    translator.answers.forgetLater(this.above.get(key) ?? [])
    this.above.delete(key)
    const names = this.hidden.get(key)
    if (!names) return
    this.hidden.delete(key)
    removeHidden(translator.daemon, names)
  }
}
