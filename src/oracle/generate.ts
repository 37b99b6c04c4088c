// Draws the next operation of a process: mostly one that will succeed in the present state of the model, and now and then
// one that must fail. The same random numbers and the same state give the same operation.
import type { Model } from './model/model.js'
import type { Node } from './model/tree.js'
import { type Arguments, type DrawnKind, drawn, type Feature, type Operation } from './operations.js'
import type { Random } from './random.js'

export interface Drawing {
  readonly model: Model
  readonly random: Random
  readonly process: number
  readonly step: number
  /** For races: what is taken in each chapter, and how often a kind was drawn in this one. */
  readonly chapter: number
  readonly counts: { race: number }
}

/** Undefined if there is nothing it could be done to, or the model has no answer to it. */
export function draw(drawing: Drawing): Operation | undefined {
  const { random, model } = drawing
  const kinds = kindsWithout(model.left)
  const kind = random.weighted(kinds) ?? 'stat'
  const build = builders[kind] as (drawing: Drawing) => Arguments[DrawnKind] | undefined
  const args = build(drawing)
  return args && ({ kind, ...args } as Operation)
}

const rememberedKinds = new WeakMap<ReadonlySet<Feature>, [DrawnKind, number][]>()
function kindsWithout(left: ReadonlySet<Feature>): [DrawnKind, number][] {
  const known = rememberedKinds.get(left)
  if (known) return known
  const kinds = Object.entries(drawn)
    .filter(([, row]) => !('needs' in row && left.has(row.needs)))
    .map(([kind, { weight }]): [DrawnKind, number] => [kind as DrawnKind, weight])
  rememberedKinds.set(left, kinds)
  return kinds
}

const MOST_OPEN = 8
const MOST_FOLDERS = 3
const MOST_MAPPINGS = 3
const DEEPEST = 3
const LARGEST = 0x4_0000
const LARGEST_MAPPING = 0x1_0000
const LONG = 'a-name-that-fills-the-buffer-of-a-folder-that-is-read-bit-by-bit'
const names = [...'abcdefghijklmn', ...'123456'.split('').map((digit) => `${LONG}-${digit}`)]
const attributeNames = ['user.one', 'user.two', 'user.three']
const races = ['create', 'mkdir', 'link', 'symlink', 'rename', 'unlink', 'rmdir'] as const
const neededBy: Partial<Record<(typeof races)[number], Feature>> = { link: 'link', symlink: 'symlink', rmdir: 'rmdir' }

type Builders = { readonly [K in DrawnKind]: (drawing: Drawing) => Arguments[K] | undefined }
const builders: Builders = {
  open(drawing) {
    const { random, model } = drawing
    const file = freeNumber(model.files, MOST_OPEN)
    if (file === undefined) return undefined
    const create = random.chance(0.6)
    const wanted =
      random.weighted([
        ['both', 6],
        ['read', 2],
        ['write', 2],
      ] as const) ?? 'both'
    const access = wanted === 'write' && create && model.left.has('writeOnly') ? 'both' : wanted
    return {
      file,
      path: create && random.chance(0.7) ? somePath(drawing) : (existing(drawing, 'file') ?? somePath(drawing)),
      access,
      append: access !== 'read' && random.chance(0.25) && !model.left.has('append'),
      create,
      exclusive: create && random.chance(0.2),
      truncate: access !== 'read' && random.chance(0.12) && !model.left.has('truncate'),
      mode: random.pick([0o644, 0o600, 0o664, 0o755]) ?? 0o644,
    }
  },
  close: (drawing) => withFile(drawing, (file) => ({ file })),
  read: (drawing) => withFile(drawing, (file) => ({ file, length: someLength(drawing.random) })),
  pread: (drawing) =>
    withFile(drawing, (file) => ({ file, offset: someOffset(drawing, file), length: someLength(drawing.random) })),
  write: (drawing) =>
    withFile(drawing, (file) => {
      const open = drawing.model.files.get(file)
      const at = open?.append ? open.file.bytes.length : (open?.position ?? 0)
      const length = someLength(drawing.random)
      return at + length > LARGEST ? undefined : { file, length, ...written(drawing) }
    }),
  pwrite: (drawing) =>
    withFile(drawing, (file) => {
      const length = someLength(drawing.random)
      const offset = someOffset(drawing, file)
      const open = drawing.model.files.get(file)
      const at = open?.append ? open.file.bytes.length : offset
      return at + length > LARGEST ? undefined : { file, offset, length, ...written(drawing) }
    }),
  ftruncate: (drawing) => withFile(drawing, (file) => ({ file, size: someOffset(drawing, file) })),
  truncate: (drawing) => ({ path: likely(drawing, 'file'), size: drawing.random.below(0x8000) }),
  fsync: (drawing) => withFile(drawing, (file) => ({ file, dataOnly: drawing.random.chance(0.5) })),
  fstat: (drawing) => withFile(drawing, (file) => ({ file })),
  flock: (drawing) =>
    withNumber(drawing, openTwice(drawing.model), (file) => ({
      file,
      lock:
        drawing.random.weighted([
          ['none', 4],
          ['shared', 3],
          ['exclusive', 3],
        ] as const) ?? 'none',
    })),
  map: (drawing) =>
    withFile(drawing, (file) => {
      const { model } = drawing
      const mapping = freeNumber(model.mappings, MOST_MAPPINGS)
      const length = Math.min(model.files.get(file)?.file.bytes.length ?? 0, LARGEST_MAPPING)
      return mapping === undefined ? undefined : { mapping, file, length }
    }),
  unmap: (drawing) => withNumber(drawing, drawing.model.mappings, (mapping) => ({ mapping })),
  mapRead: (drawing) =>
    withNumber(drawing, drawing.model.mappings, (mapping) => ({ mapping, ...part(drawing, mapping) })),
  mapWrite: (drawing) =>
    withNumber(drawing, drawing.model.mappings, (mapping) => ({
      mapping,
      ...part(drawing, mapping),
      ...written(drawing),
    })),
  stat: (drawing) => ({ path: likely(drawing) }),
  chmod: (drawing) => ({ path: likely(drawing), mode: drawing.random.pick([0o700, 0o755, 0o750, 0o777]) ?? 0o700 }),
  utimes: (drawing) => ({ path: likely(drawing), mtime: 1_000_000_000 + drawing.random.below(500_000_000) }),
  rename: (drawing) => {
    const { random, model } = drawing
    const exchange = random.chance(0.15) && !model.left.has('exchange')
    const noreplace = !exchange && random.chance(0.15) && !model.left.has('noreplace')
    return {
      from: likely(drawing),
      to: exchange || random.chance(0.3) ? likely(drawing) : somePath(drawing),
      how: exchange ? 'exchange' : noreplace ? 'noreplace' : 'replace',
    }
  },
  link: (drawing) => ({ from: likely(drawing, 'file'), to: somePath(drawing) }),
  symlink: (drawing) => ({ target: drawing.random.pick(names) ?? 'a', path: somePath(drawing) }),
  readlink: (drawing) => ({ path: likely(drawing, 'symlink') }),
  unlink: (drawing) => ({ path: drawing.random.chance(0.3) ? likely(drawing, 'symlink') : likely(drawing, 'file') }),
  mkdir: (drawing) => ({ path: somePath(drawing), mode: drawing.random.pick([0o755, 0o700]) ?? 0o755 }),
  rmdir: (drawing) => ({ path: likely(drawing, 'folder') }),
  readdir: (drawing) => ({ path: drawing.random.chance(0.5) ? '' : likely(drawing, 'folder') }),
  opendir: (drawing) => {
    const folder = freeNumber(drawing.model.folders, MOST_FOLDERS)
    if (folder === undefined) return undefined
    return { folder, path: drawing.random.chance(0.6) ? '' : likely(drawing, 'folder') }
  },
  readSome: (drawing) =>
    withNumber(drawing, drawing.model.folders, (folder) => ({ folder, room: 120 + drawing.random.below(500) })),
  closedir: (drawing) => withNumber(drawing, drawing.model.folders, (folder) => ({ folder })),
  setxattr: (drawing) => ({
    ...attribute(drawing),
    value: `value ${drawing.step} ${'v'.repeat(drawing.random.below(60))}`,
    how:
      drawing.random.weighted([
        ['any', 6],
        ['create', 2],
        ['replace', 2],
      ] as const) ?? 'any',
  }),
  getxattr: attribute,
  listxattr: (drawing) => ({ path: likely(drawing) }),
  removexattr: attribute,
  count: ({ random, model }) => {
    const counters = (['flock', 'fcntl'] as const).filter((counter) => !model.left.has(counter))
    const counter = random.pick(counters)
    return counter && { counter }
  },
  race: ({ model, process, chapter, counts }) => {
    const possible = races.filter((race) => !model.left.has(neededBy[race] ?? 'append') || !neededBy[race])
    const number = counts.race++
    const race = possible[number % possible.length]
    return race && { race, number: `${chapter}-${number}`, process }
  },
  log: ({ process, step }) => ({ line: `process ${process} step ${step}` }),
}

const written = ({ process, step }: Drawing) => ({ process, step })

/** Mostly what is there, of this type, else any name. */
const likely = (drawing: Drawing, type?: Node['type']): string =>
  (drawing.random.chance(0.9) ? existing(drawing, type) : undefined) ?? somePath(drawing)

function existing({ model, random }: Drawing, type?: Node['type']): string | undefined {
  const paths: string[] = []
  for (const [path, node] of model.walk()) if (type === undefined || node.type === type) paths.push(path)
  return random.pick(paths)
}

/** A name, taken or free, in a folder that is there. */
function somePath({ model, random }: Drawing): string {
  const folders = ['']
  for (const [path, node] of model.walk())
    if (node.type === 'folder' && path.split('/').length < DEEPEST) folders.push(`${path}/`)
  return `${random.chance(0.5) ? '' : (random.pick(folders) ?? '')}${random.pick(names) ?? 'a'}`
}

function attribute(drawing: Drawing) {
  return {
    path: likely(drawing),
    name: drawing.random.pick(attributeNames) ?? 'user.one',
  }
}

/** Mostly short, at times more than one request of any daemon holds. */
function someLength(random: Random): number {
  if (random.chance(0.04)) return 1 + random.below(0x2_8000)
  return 1 + random.below(random.chance(0.5) ? 200 : 9000)
}

/** In the file, or a little behind its end. */
const someOffset = ({ model, random }: Drawing, file: number): number =>
  random.below((model.files.get(file)?.file.bytes.length ?? 0) + 2000)

function part({ model, random }: Drawing, mapping: number): { offset: number; length: number } {
  const whole = model.mappings.get(mapping)?.length ?? 1
  const offset = random.below(whole)
  return { offset, length: 1 + random.below(Math.min(whole - offset, 6000)) }
}

/** Files that several have open, if there are any: only they can have locks in each other's way. */
function openTwice({ files }: Model): ReadonlyMap<number, unknown> {
  const all = [...files]
  const several = all.filter(([, { file }]) => all.filter(([, other]) => other.file === file).length > 1)
  return several.length > 0 ? new Map(several) : files
}

const withFile = <T>(drawing: Drawing, build: (file: number) => T): T | undefined =>
  withNumber(drawing, drawing.model.files, build)

function withNumber<T>({ random }: Drawing, map: ReadonlyMap<number, unknown>, build: (n: number) => T): T | undefined {
  const number = random.pick([...map.keys()])
  return number === undefined ? undefined : build(number)
}

function freeNumber(map: ReadonlyMap<number, unknown>, most: number): number | undefined {
  for (let number = 0; number < most; number++) if (!map.has(number)) return number
  return undefined
}
