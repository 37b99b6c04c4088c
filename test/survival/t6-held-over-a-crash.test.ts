// T6: what an application holds when the daemon dies goes on afterwards: open files, mapped ones, a folder half read, its
// working folder, an unlinked file, locks, a waiter.
import type { Stats } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Feature } from '../../src/oracle/operations.js'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { grafted, mirrorfs, type Way } from '../fixtures/ways.js'

const EAGAIN = -11
const NAMES = Array.from({ length: 500 }, (_, i) => `name ${i}`)

interface Hands {
  readonly holder: Application
  /** Another process, for what only a second one can see. */
  readonly other: Application
  readonly folder: string
}

/** `hold` takes something into hand and returns what uses it after the crash: a promise of what is seen. */
const rows: readonly {
  what: string
  hold: (hands: Hands) => Promise<() => Promise<unknown>>
  expected: unknown
  /** What some daemons take with them when they die, and what then is seen. */
  feature?: Feature
  lost?: unknown
  /** Only daemons with inode numbers of their own can do that. */
  hasNumbers?: true
  /** Where it is so without a crash. */
  only?: Way['revive']
}[] = [
  {
    what: 'a file open for reading, at its position',
    async hold({ holder, folder }) {
      await holder.do('writeFileSync', join(folder, 'file'), 'before and after')
      const fd = await holder.do('openSync', join(folder, 'file'), 'r')
      await holder.do('readFrom', fd, null, 7)
      return () => holder.do('readFileSync', fd, 'utf8')
    },
    expected: 'and after',
  },
  {
    what: 'a file open for reading and writing',
    async hold({ holder, folder }) {
      const fd = await holder.do('openSync', join(folder, 'file'), 'w+')
      await holder.do('writeSync', fd, 'before')
      return async () => {
        await holder.do('writeSync', fd, ' and after')
        await holder.do('fsyncSync', fd)
        return holder.do('readFileSync', join(folder, 'file'), 'utf8')
      }
    },
    expected: 'before and after',
  },
  {
    what: 'a file open for appending',
    async hold({ holder, folder }) {
      const fd = await holder.do('openSync', join(folder, 'file'), 'a')
      await holder.do('writeSync', fd, 'one')
      return async () => {
        await holder.do('writeSync', fd, ' two')
        return holder.do('readFileSync', join(folder, 'file'), 'utf8')
      }
    },
    expected: 'one two',
  },
  {
    what: 'a folder half read',
    async hold({ holder, folder }) {
      for (const name of NAMES) await holder.do('writeFileSync', join(folder, name), '')
      const number = await holder.do('openFolder', folder)
      const first = (await holder.do('readFolder', number, NAMES.length / 2)) as string[]
      return async () => {
        const rest = (await holder.do('readFolder', number, NAMES.length)) as string[]
        return [...first, ...rest].sort()
      }
    },
    expected: [...NAMES].sort(),
  },
  {
    what: 'a working folder',
    async hold({ holder, folder }) {
      await holder.do('chdir', folder)
      return async () => {
        await holder.do('writeFileSync', 'here', 'text')
        return [await holder.do('cwd'), await holder.do('readdirSync', '.')].flat().join(' ').replace(folder, 'folder')
      }
    },
    expected: 'folder here',
  },
  {
    what: 'a file that was unlinked while open',
    async hold({ holder, folder }) {
      const fd = await holder.do('openSync', join(folder, 'file'), 'w+')
      await holder.do('writeSync', fd, 'nameless')
      await holder.do('unlinkSync', join(folder, 'file'))
      return async () => {
        await holder.do('writeSync', fd, ' still')
        return holder.do('readFrom', fd, 0, 'nameless still'.length)
      }
    },
    expected: 'nameless still',
    feature: 'unlinked',
    lost: 'ESTALE',
  },
  {
    what: 'a file without a name',
    async hold({ holder, folder }) {
      const fd = await holder.do('openSync', join(folder, 'file'), 'w+')
      await holder.do('writeSync', fd, 'text')
      await holder.do('unlinkSync', join(folder, 'file'))
      return async () => {
        const { size, nlink } = (await holder.do('fstatSync', fd)) as { size: number; nlink: number }
        return [size, nlink, await holder.do('readdirSync', folder)]
      }
    },
    expected: [4, 0, []],
    only: 'inherit',
  },
  {
    what: 'a mapped file',
    async hold({ holder, folder }) {
      await holder.do('writeFileSync', join(folder, 'file'), 'before')
      const fd = await holder.do('openSync', join(folder, 'file'), 'r+')
      await holder.do('map', fd, 6)
      return async () => {
        const before = await holder.do('readMapped', 6)
        await holder.do('writeMapped', 'AFTER!')
        await holder.do('fsyncSync', fd)
        return [before, await holder.do('readFileSync', join(folder, 'file'), 'utf8')]
      }
    },
    expected: ['before', 'AFTER!'],
  },
  {
    what: 'a flock',
    async hold({ holder, other, folder }) {
      const fd = await holder.do('openSync', join(folder, 'file'), 'w')
      await holder.do('flock', fd)
      return async () => {
        const second = await other.do('openSync', join(folder, 'file'), 'r+')
        const whileHeld = await other.do('flock', second)
        await holder.do('closeSync', fd)
        return [whileHeld, await other.do('flock', second)]
      }
    },
    expected: [EAGAIN, 0],
    feature: 'flock',
    lost: [0, 0],
  },
  {
    what: 'an fcntl lock',
    async hold({ holder, other, folder }) {
      const fd = await holder.do('openSync', join(folder, 'file'), 'w')
      await holder.do('lockf', fd)
      return async () => {
        const second = await other.do('openSync', join(folder, 'file'), 'r+')
        const whileHeld = await other.do('lockf', second)
        await holder.do('closeSync', fd)
        return [whileHeld, await other.do('lockf', second)]
      }
    },
    expected: [EAGAIN, 0],
  },
  {
    what: 'a file that is polled',
    async hold({ holder, folder }) {
      await holder.do('writeFileSync', join(folder, 'file'), 'text')
      const fd = await holder.do('openSync', join(folder, 'file'), 'r')
      await holder.do('poll', fd, 1000)
      return () => holder.do('poll', fd, 10_000)
    },
    expected: 1,
  },
  {
    what: 'the inode number of an open file',
    async hold({ holder, other, folder }) {
      const path = join(folder, 'file')
      const fd = await holder.do('openSync', path, 'w')
      const { ino } = (await holder.do('fstatSync', fd)) as Stats
      return async () =>
        [await holder.do('fstatSync', fd), await other.do('statSync', path)].map(
          (stats) => (stats as Stats).ino === ino,
        )
    },
    expected: [true, true],
  },
  {
    what: 'the inode number of a file that nobody has open',
    async hold({ holder, folder }) {
      const path = join(folder, 'file')
      await holder.do('writeFileSync', path, '')
      const { ino } = (await holder.do('statSync', path)) as Stats
      return async () => ((await holder.do('statSync', path)) as Stats).ino === ino
    },
    expected: true,
    hasNumbers: true,
  },
]

const CRASHES = 3

for (const way of [mirrorfs, ...grafted('bindfs', 'passthrough_ll', 'passthrough_fh', 'sshfs')])
  t.test(`${way.name}, by ${way.revive}: held over ${CRASHES} crashes`, { skip: way.skip }, (t) => holds(t, way))

async function holds(t: Test, way: Way): Promise<void> {
  const place = placeFor(t)
  const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
  const held = []
  const [holder, other] = [new Application(place), new Application(place)]
  for (const [i, row] of rows.entries()) {
    if (row.only !== undefined && row.only !== way.revive) continue
    if (row.hasNumbers && way.faceless !== undefined) {
      t.pass(`${row.what} goes on`, { skip: way.faceless })
      continue
    }
    const folder = join(place.mount, `row ${i}`)
    const hands = { holder, other, folder }
    await hands.holder.do('mkdirSync', folder)
    held.push({ ...row, use: await row.hold(hands) })
  }
  for (let i = 0; i < CRASHES; i++) await managed.crash()
  for (const { what, expected, feature, lost, use } of held) {
    const reason = feature && way.loses[feature]
    if (reason === undefined) await t.test(`${what} goes on`, async (t) => t.same(await use(), expected))
    else
      await t.test(`${what} does not go on: ${reason}`, async (t) =>
        t.same(await use().catch(({ code }) => code), lost),
      )
  }
  await endsWell(t, managed, way.ends)
}
