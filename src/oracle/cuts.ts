// What a daemon does in several steps, a crash cuts in two: that is the daemon's own. Which operations, and what is met with
// then, is declared for each daemon. It is forgiven only where such an operation was under way at a crash, to itself and to
// what comes later to the same file or folder, and only what is declared.
import type { Actual, Entry, Expectation } from './answer.js'
import { judge } from './judge.js'
import type { Model } from './model/model.js'
import type { FileNode, Node } from './model/tree.js'
import type { Operation } from './operations.js'
import { nodesOf, nodesOnTheWay, type Part, partsOf, sharedOf } from './subjects.js'

export interface Cut {
  /** What may be cut; an operation that is made of several, as a race, is cut in any of them. */
  readonly of: readonly Part[]
  /** It may end with this, and so may what comes later to what it was about. */
  readonly errno?: string
  /** The bytes of what it changes, in whole blocks of so many bytes, may be any, or missing. */
  readonly block?: number
  readonly why: string
}

/** By errno. */
type Causes = Map<string, Cut>
/** Of what all processes share, by its name. */
export type SharedCauses = Map<string, Causes>

/** The operations on one model that were under way at a crash, as far as they may have been cut. */
export class CutOperations {
  private readonly nodes = new Map<Node, Causes>()
  /** By the place of the block in the file, counted in bytes. */
  private readonly blocks = new Map<FileNode, Map<number, Cut>>()

  constructor(
    private readonly cuts: readonly Cut[],
    private readonly model: Model,
    private readonly shared: SharedCauses = new Map(),
  ) {}

  /** Takes what has been done, in the model too, and whether it was under way at a crash. */
  take(operation: Operation, wasHit: boolean): void {
    const nodes = nodesOf(operation, this.model)
    if (!wasHit) {
      if (isWriting(operation)) for (const node of nodes) this.mend(node)
      return
    }
    for (const cut of this.of(operation)) {
      const { errno, block } = cut
      if (errno !== undefined) {
        for (const node of nodes) member(this.nodes, node).set(errno, cut)
        for (const name of sharedOf(operation)) member(this.shared, name).set(errno, cut)
      }
      if (block !== undefined) for (const node of nodes) if (node.type === 'file') this.spoil(node, block, cut)
    }
  }

  /** The cut that this answer comes of, which is not as expected; undefined if it comes of none. Ask after `take`. */
  causeOf(operation: Operation, expected: Expectation, actual: Actual, wasHit: boolean): Cut | undefined {
    if ('errno' in actual) {
      const itself = wasHit ? this.of(operation).find(({ errno }) => errno === actual.errno) : undefined
      return itself ?? this.errnoCause(operation, actual.errno)
    }
    let cause: Cut | undefined
    const spare = (file: FileNode, from: number, bytes: Buffer, found: Buffer): Buffer =>
      this.spared(file, from, bytes, found, (cut) => {
        cause = cut
      })
    const { value } = actual
    if ('bytes' in expected) {
      const bytes = spare(expected.file, expected.from, expected.bytes, value as Buffer)
      return judge(actual, { ...expected, bytes }) ? undefined : cause
    }
    if (!('entries' in expected)) return undefined
    const found = new Map((value as readonly Entry[]).map(({ path, bytes }) => [path, bytes]))
    const entries = expected.entries.map((entry) => {
      const bytes = found.get(entry.path)
      return entry.file && entry.bytes && bytes ? { ...entry, bytes: spare(entry.file, 0, entry.bytes, bytes) } : entry
    })
    return judge(actual, { entries }) ? undefined : cause
  }

  private of(operation: Operation): Cut[] {
    const parts = partsOf(operation)
    return this.cuts.filter((cut) => cut.of.some((kind) => parts.includes(kind)))
  }

  private errnoCause(operation: Operation, errno: string): Cut | undefined {
    const isAll = operation.kind === 'sync' || operation.kind === 'snapshot' || operation.kind === 'clear'
    const causes = [
      ...sharedOf(operation).map((name) => this.shared.get(name)),
      ...(isAll ? [...this.nodes.values()] : nodesOnTheWay(operation, this.model).map((node) => this.nodes.get(node))),
    ]
    return causes.find((causes) => causes?.has(errno))?.get(errno)
  }

  private spoil(file: FileNode, block: number, cut: Cut): void {
    const { from, to } = file.changed
    for (let at = from - (from % block); at < to; at += block) member(this.blocks, file).set(at, cut)
  }

  /** What is written anew as a whole is as it should be again. */
  private mend(node: Node): void {
    if (node.type !== 'file') return
    const blocks = this.blocks.get(node)
    const { from, to } = node.changed
    for (const [at, { block = 0 }] of blocks ?? []) if (from <= at && at + block <= to) blocks?.delete(at)
  }

  /** What is expected, but what is found in the blocks that were cut. */
  private spared(file: FileNode, from: number, expected: Buffer, found: Buffer, spares: (cut: Cut) => void): Buffer {
    const blocks = this.blocks.get(file) ?? new Map<number, Cut>()
    const cutAt = (at: number): Cut | undefined => {
      for (const [start, cut] of blocks) if (start <= at && at < start + (cut.block ?? 0)) return cut
      return undefined
    }
    const bytes: number[] = []
    for (let i = 0; i < Math.max(expected.length, found.length); i++) {
      const cut = expected[i] === found[i] ? undefined : cutAt(from + i)
      const byte = cut ? found[i] : expected[i]
      if (cut) spares(cut)
      if (byte !== undefined) bytes.push(byte)
    }
    return Buffer.from(bytes)
  }
}

const isWriting = ({ kind }: Operation): boolean => kind === 'write' || kind === 'pwrite' || kind === 'mapWrite'

/** What the map has for the key, an empty one if it has nothing yet. */
function member<K, L, V>(map: Map<K, Map<L, V>>, key: K): Map<L, V> {
  const known = map.get(key) ?? new Map<L, V>()
  map.set(key, known)
  return known
}
