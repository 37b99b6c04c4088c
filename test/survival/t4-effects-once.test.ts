// T4: a change that the dead life had made, or only begun, takes effect exactly once: the application is told success, and
// the folder beneath shows what one change makes. Each row is killed at each step of being served, twice in a row.
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed, moodyMirror, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'

const steps = ['read', 'recorded', 'executed'] as const
const DEATHS = 2

interface Row {
  readonly change: string
  readonly opcode: string
  /** Makes, beneath the mount, what the change needs. */
  readonly given?: (folder: string) => void
  readonly act: (application: Application, folder: string) => Promise<unknown>
  /** What the folder beneath then holds, each name with what is behind it. */
  readonly made: Record<string, string>
}

const file =
  (name: string, text = name) =>
  (folder: string) =>
    writeFileSync(join(folder, name), text)

const rows: readonly Row[] = [
  {
    change: 'mkdir',
    opcode: 'MKDIR',
    act: (a, folder) => a.do('mkdirSync', join(folder, 'new')),
    made: { new: 'folder' },
  },
  {
    change: 'rmdir',
    opcode: 'RMDIR',
    given: (folder) => mkdirSync(join(folder, 'old')),
    act: (a, folder) => a.do('rmdirSync', join(folder, 'old')),
    made: {},
  },
  {
    change: 'unlink',
    opcode: 'UNLINK',
    given: file('old'),
    act: (a, folder) => a.do('unlinkSync', join(folder, 'old')),
    made: {},
  },
  {
    change: 'rename',
    opcode: 'RENAME',
    given: file('old'),
    act: (a, folder) => a.do('renameSync', join(folder, 'old'), join(folder, 'new')),
    made: { new: '1×old' },
  },
  {
    change: 'rename over another file',
    opcode: 'RENAME',
    given(folder) {
      file('old')(folder)
      file('new')(folder)
    },
    act: (a, folder) => a.do('renameSync', join(folder, 'old'), join(folder, 'new')),
    made: { new: '1×old' },
  },
  {
    change: 'link',
    opcode: 'LINK',
    given: file('old'),
    act: (a, folder) => a.do('linkSync', join(folder, 'old'), join(folder, 'new')),
    made: { new: '2×old', old: '2×old' },
  },
  {
    change: 'symlink',
    opcode: 'SYMLINK',
    act: (a, folder) => a.do('symlinkSync', 'target', join(folder, 'new')),
    made: { new: '→target' },
  },
  {
    change: 'create with O_EXCL',
    opcode: 'CREATE',
    async act(a, folder) {
      const fd = await a.do('openSync', join(folder, 'new'), 'wx')
      await a.do('writeSync', fd, 'mine')
      await a.do('closeSync', fd)
    },
    made: { new: '1×mine' },
  },
  {
    change: 'append',
    opcode: 'WRITE',
    given: file('log', 'first,'),
    async act(a, folder) {
      const fd = await a.do('openSync', join(folder, 'log'), 'a')
      await a.do('writeSync', fd, 'second,')
      await a.do('writeSync', fd, 'third')
      await a.do('closeSync', fd)
    },
    made: { log: '1×first,second,third' },
  },
  {
    change: 'truncate',
    opcode: 'SETATTR',
    given: file('log', 'first,second'),
    act: (a, folder) => a.do('truncateSync', join(folder, 'log'), 5),
    made: { log: '1×first' },
  },
]

/** The folder beneath, as `made` has it. */
function contents(folder: string): Record<string, string> {
  const describe = (path: string): string => {
    const stat = lstatSync(path)
    if (stat.isDirectory()) return 'folder'
    if (stat.isSymbolicLink()) return `→${readlinkSync(path)}`
    return `${statSync(path).nlink}×${readFileSync(path, 'utf8')}`
  }
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, describe(join(folder, name))]),
  )
}

t.test('a change takes effect once, wherever its daemon dies', async (t) => {
  const place = placeFor(t)
  const deaths = place.path('deaths')
  writeFileSync(deaths, '0')
  const managed = await Managed.serving(place, { daemon: moodyMirror(place, 'dies', deaths), options: unlimited })
  const application = new Application(place)

  for (const { change, opcode, given, act, made } of rows) {
    for (const step of steps) {
      await t.test(`${change}, killed ${DEATHS} times when it is ${step}`, async (t) => {
        const name = `${change} ${step}`
        const [beneath, seen] = [join(place.source, name), join(place.mount, name)]
        mkdirSync(beneath)
        given?.(beneath)
        await application.do('statSync', seen)
        writeFileSync(deaths, `${DEATHS} ${step} ${opcode}`)
        await act(application, seen)
        t.same(contents(beneath), made, 'the change was made once')
        const left = Number.parseInt(readFileSync(deaths, 'utf8'), 10)
        // What can be repeated without harm is not recorded.
        if (step !== 'recorded') t.equal(left, 0, 'it was killed as often as planned')
        writeFileSync(deaths, '0')
      })
    }
  }
  await endsWell(t, managed)
})
