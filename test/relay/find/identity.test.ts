// Whether a file of the new life is the one that the kernel knows by a path.
import t from 'tap'
import { findFile, isNamedBy } from '../../../src/relay/find/identity.js'
import type { Translator } from '../../../src/relay/translate/translator.js'
import type { Daemon, Found } from '../../../src/relay/wire/daemon.js'

const FILE = 0o100644
/** As bazil numbers `x` in a folder with the number 1, and `g` in that. */
const [X, G] = [5952180755994350292n, 17482180045207304832n]

t.test('a number that is made of the name is known for it', async (t) => {
  for (const [ino, folder, name, is] of [
    [X, 1n, 'x', true],
    [G, X, 'g', true],
    [G, X, 'h', false],
    [G, 1n, 'g', false],
    [2357853n, 1n, 'x', false],
  ] as const)
    t.equal(isNamedBy(ino, folder, Buffer.from(name)), is, `${ino} for ${name}`)
})

t.test(
  'an inode number tells one file from another, unless it is the daemon’s own count or made of the name',
  async (t) => {
    const own = (1n << 63n) + 7n
    for (const [what, before, now, is] of [
      ['the same', 77n, 77n, true],
      ['another', 77n, 78n, false],
      ['counted', own, own + 3n, true],
      ['made of the name, before a rename', G, X, true],
    ] as const) {
      const known = { mode: FILE, ino: before, links: 1, size: 0n, mtime: 0n }
      const found = findFile(playing(now), Buffer.from('/mnt'), Buffer.from('/mnt/x'), id, known, { matches: 1 })
      t.equal(found !== null, is, what)
    }
  },
)

t.test('what has lost its name and has links is itself by its looks, where no number tells it', async (t) => {
  const looks = { mode: FILE, ino: G, links: 1, size: 10n, mtime: 1_500_000_001n }
  for (const [what, known, is] of [
    ['the same', looks, true],
    ['longer', { ...looks, size: 11n }, false],
    ['changed', { ...looks, mtime: 1_500_000_002n }, false],
    ['changed in that second', { ...looks, mtime: 1_000_000_000n }, false],
    ['removed', { ...looks, links: 0 }, false],
  ] as const) {
    const { size, mtime } = known
    const now = what === 'changed in that second' ? { size, mtime } : { size: looks.size, mtime: looks.mtime }
    const path = Buffer.from('/mnt/x (deleted)')
    const found = findFile(playing(X, now), Buffer.from('/mnt'), path, id, known, { matches: 0 })
    t.equal(found !== null, is, what)
  }
})

const id = { low: 5, high: 0, hiddenAs: 5 }

/** A daemon that has one file, and no folder that can be read. */
function playing(ino: bigint, { size, mtime } = { size: 0n, mtime: 0n }): Translator {
  const found: Found = { low: 9, high: 0, generation: 0, ino, mode: FILE, size, mtime, rdev: 0 }
  const daemon: Pick<Daemon, 'lookup' | 'ask' | 'forget'> = {
    lookup: () => found,
    ask: () => -2,
    forget: () => {},
  }
  return { daemon } as unknown as Translator
}
