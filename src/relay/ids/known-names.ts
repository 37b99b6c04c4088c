// Which names this life's daemon has been asked for by the kernel, and what it has said they are. Whoever takes a name away
// has to know whether the daemon knows it; asking once more is no way out, since some daemons know a file anew then.
import type { OpcodeName } from '../../fuse/opcodes.js'

/** A nodeid of the daemon's. */
export interface DaemonId {
  readonly low: number
  readonly high: number
}

/** What happens to the names of a request when it succeeds. */
export const namesGiven = new Set<OpcodeName>(['LOOKUP', 'CREATE', 'MKDIR', 'MKNOD', 'SYMLINK', 'LINK'])
export const namesTaken = new Set<OpcodeName>(['UNLINK', 'RMDIR', 'RENAME', 'RENAME2'])

/** More are forgotten, all at once: those are looked up again. */
const MOST = 20_000

export class KnownNames {
  private readonly ids = new Map<number, DaemonId>()

  /** What stands for the name at `at` in the folder; never 0. 53 bits of a hash: no two names of a life have the same. */
  static key(folderLow: number, folderHigh: number, bytes: Uint8Array, at: number, end: number): number {
    let a = Math.imul(folderLow ^ 0x9e37_79b9, 0x85eb_ca6b) ^ folderHigh
    let b = Math.imul(folderHigh ^ 0xc2b2_ae35, 0x27d4_eb2f) ^ folderLow
    for (let i = at; i < end; i++) {
      const byte = bytes[i] ?? 0
      if (byte === 0) break
      a = Math.imul(a ^ byte, 0x0100_0193)
      b = Math.imul(b + byte, 0x5bd1_e995)
      b ^= b >>> 13
    }
    a = Math.imul(a ^ (a >>> 16), 0x7feb_352d)
    b = Math.imul(b ^ (b >>> 15), 0x846c_a68b)
    return (a >>> 0) * 2 ** 21 + ((b ^ (b >>> 16)) >>> 11) || 1
  }

  of(key: number): DaemonId | undefined {
    return this.ids.get(key)
  }

  learn(key: number, low: number, high: number): void {
    if (this.ids.size >= MOST) this.ids.clear()
    this.ids.set(key, { low, high })
  }

  forget(key: number): void {
    this.ids.delete(key)
  }

  /** The first name is the second now; the other way round as well, if they are exchanged. */
  move(from: number, to: number, areExchanged: boolean): void {
    const [moved, other] = [this.ids.get(from), this.ids.get(to)]
    this.put(to, moved)
    this.put(from, areExchanged ? other : undefined)
  }

  private put(key: number, id: DaemonId | undefined): void {
    if (id) this.ids.set(key, id)
    else this.ids.delete(key)
  }
}
