// After a crash the kernel can know a file with several names by two nodeids, one of an earlier life. What is done by one
// name is seen by the other then only when what it has cached of that expires (attr_timeout): for as long, facts of before
// are as right as those of now.
import type { Entry, Expectation, Facts } from './answer.js'
import { judge } from './judge.js'
import { factsOf, type Model } from './model/model.js'
import type { FileNode } from './model/tree.js'
import type { Operation } from './operations.js'
import { nodesOf } from './subjects.js'

interface Earlier {
  readonly facts: Facts
  /** When they were true last, by performance.now(). */
  readonly until: number
}

export class Aliases {
  private readonly present = new Map<FileNode, Facts>()
  private readonly earlier = new Map<FileNode, Earlier[]>()

  /** @param timeout for how many milliseconds the kernel may take facts from its cache */
  constructor(
    private readonly model: Model,
    private readonly timeout: number,
  ) {}

  /** Takes what has been done in the model, and will be asked for now. */
  take(now: number): void {
    const files = new Set<FileNode>()
    for (const [, node] of this.model.walk()) if (node.type === 'file') files.add(node)
    for (const { file } of this.model.files.values()) files.add(file)
    for (const file of files) {
      const facts = factsOf(file)
      const before = this.present.get(file)
      this.present.set(file, facts)
      const isAlias = before?.links !== undefined && (before.links > 1 || file.links > 1)
      if (!before || !isAlias || judge({ value: before }, { facts }) === undefined) continue
      const earlier = this.earlier.get(file) ?? []
      earlier.push({ facts: before, until: now })
      this.earlier.set(file, earlier)
    }
  }

  /** The same expectation, with facts of before where those are found. `since`: when it was asked for. */
  allowing(operation: Operation, expected: Expectation, value: unknown, since: number): Expectation {
    if ('facts' in expected) {
      const [file] = nodesOf(operation, this.model)
      return file?.type === 'file' ? { facts: this.known(file, expected.facts, value as Facts, since) } : expected
    }
    if (!('entries' in expected)) return expected
    const found = new Map((value as readonly Entry[]).map(({ path, facts }) => [path, facts]))
    return {
      entries: expected.entries.map((entry) => {
        const facts = found.get(entry.path)
        return entry.file && facts ? { ...entry, facts: this.known(entry.file, entry.facts, facts, since) } : entry
      }),
    }
  }

  private known(file: FileNode, present: Facts, found: Facts, since: number): Facts {
    const earlier = (this.earlier.get(file) ?? []).filter(({ until }) => until >= since - this.timeout)
    if (earlier.length === 0) return present
    // The kernel itself takes one off for a name that is removed: off the links that it knows of, whatever they are.
    const possible = [present, ...earlier.map(({ facts }) => facts)].map(({ links: _, ...facts }) => facts)
    return possible.find((facts) => judge({ value: found }, { facts }) === undefined) ?? present
  }
}
