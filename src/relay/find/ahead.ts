// Names that will be looked up, asked for many at a time before that: one by one each would wait for the daemon to wake up, or
// for a server far away.
import type { Daemon, Found, Looked, Name } from '../wire/daemon.js'
import { isFolder } from './identity.js'
import { keyOf } from './query.js'

const ROOT = { low: 1, high: 0 }
/** So many paths at once: requests that may go on early wait as long. */
const MOST_PATHS = 64

export class Ahead {
  /** What will be asked for: names below the root, by what they are for. */
  private readonly planned = new Map<string, readonly Buffer[]>()
  /** Folders on the way, each of which is asked for once more by itself. */
  private readonly folders = new Set<string>()
  /** What the daemon said and nobody has asked for yet; each counts as one lookup. */
  private readonly found = new Map<string, Looked[]>()

  constructor(private readonly daemon: Daemon) {}

  /** These will be looked up, in this order, if nothing is moved before that. */
  plan(paths: ReadonlyMap<string, readonly Buffer[]>): void {
    for (const [key, names] of paths) this.planned.set(key, names)
  }

  /** This is looked up now, and others will be soon. @throws Ended */
  prepare(key: string): void {
    const first = this.planned.get(key)
    if (first === undefined) return
    this.planned.delete(key)
    const paths = this.waysTo(first)
    for (const [each, names] of this.planned) {
      if (paths.length >= MOST_PATHS) break
      this.planned.delete(each)
      paths.push(...this.waysTo(names))
    }
    this.lookUp(paths)
  }

  /** The path, and those of the folders above it that are new. */
  private waysTo(names: readonly Buffer[]): (readonly Buffer[])[] {
    const ways = [names]
    for (let depth = 1; depth < names.length; depth++) {
      const folder = names.slice(0, depth)
      const key = Buffer.concat(folder.flatMap((name) => [SLASH, name])).toString('latin1')
      if (this.folders.has(key)) continue
      this.folders.add(key)
      ways.push(folder)
    }
    return ways
  }

  /** All names on the way to each of the paths, as often as they occur. */
  private lookUp(paths: readonly (readonly Buffer[])[]): void {
    let ways = paths.map((names) => ({ names, at: ROOT }))
    for (let depth = 0; ways.length > 0; depth++) {
      const wanted = ways.flatMap(({ names, at: { low, high } }) => {
        const name = names[depth]
        return name === undefined ? [] : [{ low, high, name }]
      })
      this.lookUpNames(wanted)
      ways = ways.flatMap(({ names }, i) => {
        const name = wanted[i]
        const at = name && this.found.get(placeOf(name))?.at(-1)
        return isFound(at) && isFolder(at) && names.length > depth + 1 ? [{ names, at }] : []
      })
    }
  }

  /** The same name once more only when the daemon has it at hand, and never one that is not there. */
  private lookUpNames(wanted: readonly Name[]): void {
    const places = new Map<string, Name[]>()
    for (const name of wanted) places.set(placeOf(name), [...(places.get(placeOf(name)) ?? []), name])
    const groups = [...places]
    const first = this.daemon.lookupAll(groups.flatMap(([, [name]]) => (name ? [name] : [])))
    const repeated = groups.map(([, names], i) => (isFound(first[i]) ? names.slice(1) : []))
    const more = this.daemon.lookupAll(repeated.flat())
    for (const [i, [place, names]] of groups.entries()) {
      const looked = first[i] ?? null
      const others = isFound(looked) ? more.splice(0, names.length - 1) : names.slice(1).map(() => looked)
      this.found.set(place, [...(this.found.get(place) ?? []), looked, ...others])
    }
  }

  /** Looks a name up, if that has not been done. The lookup that it counts is the caller's. @throws Ended */
  lookup(low: number, high: number, name: Buffer): Looked {
    if (this.found.size === 0) return this.daemon.lookup(low, high, name)
    const known = this.found.get(placeOf({ low, high, name }))?.shift()
    return known === undefined ? this.daemon.lookup(low, high, name) : known
  }

  /** Forgets what nobody has asked for: it may not be so any more. What is in a folder goes before it. @throws Ended */
  drop(): void {
    this.planned.clear()
    for (const all of [...this.found.values()].toReversed())
      for (const each of all) if (isFound(each)) this.daemon.forget(each.low, each.high, 1)
    this.found.clear()
  }
}

const SLASH = Buffer.from('/')
const isFound = (looked: Looked | undefined): looked is Found => typeof looked === 'object' && looked !== null

const placeOf = ({ low, high, name }: Name): string => `${keyOf(low, high)}/${name.toString('latin1')}`
