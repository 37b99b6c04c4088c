// T4: a change that the dead life had made, or only begun, takes effect exactly once: the application is told success, and
// the folder beneath shows what one change makes. Each row is killed at each step of being served, twice in a row, in each
// way of being revived.
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Step } from '../../src/mirror/mirror.js'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { attributesOf, createAttribute } from '../fixtures/attributes.js'
import { Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { grafted, mirrorfs, type Way } from '../fixtures/ways.js'

// They mostly wait for processes to start.
t.jobs = 2

/** Where it dies, one life after the other. Once something is done, a stock daemon's next life may not try it again. */
const deaths: Record<Way['revive'], readonly (readonly Step[])[]> = {
  inherit: [
    ['read', 'read'],
    ['recorded', 'recorded'],
    ['executed', 'executed'],
  ],
  graft: [
    ['read', 'read'],
    ['read', 'executed'],
  ],
}

interface Row {
  readonly change: string
  readonly opcode: string
  /** Makes, beneath the mount, what the change needs. */
  readonly given?: (folder: string) => void
  readonly act: (application: Application, folder: string) => Promise<unknown>
  /** What the folder beneath then holds, each name with what is behind it. */
  readonly made: Record<string, string>
  /** Where it can't be asked for. */
  readonly except?: readonly string[]
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
  {
    change: 'setxattr that creates',
    opcode: 'SETXATTR',
    given: file('file'),
    act: (a, folder) => a.do('createAttribute', join(folder, 'file'), 'user.mine', 'value'),
    made: { file: '1×file,user.mine=value' },
    // Without its option `xattr`, which is not its default.
    except: ['passthrough_ll'],
  },
  {
    change: 'removexattr',
    opcode: 'REMOVEXATTR',
    given(folder) {
      file('file')(folder)
      createAttribute(join(folder, 'file'), 'user.old', 'value')
    },
    act: (a, folder) => a.do('removeAttribute', join(folder, 'file'), 'user.old'),
    made: { file: '1×file' },
    except: ['passthrough_ll'],
  },
]

/** The folder beneath, as `made` has it. */
function contents(folder: string): Record<string, string> {
  const describe = (path: string): string => {
    const stat = lstatSync(path)
    if (stat.isDirectory()) return 'folder'
    if (stat.isSymbolicLink()) return `→${readlinkSync(path)}`
    return [`${statSync(path).nlink}×${readFileSync(path, 'utf8')}`, ...attributesOf(path)].join()
  }
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, describe(join(folder, name))]),
  )
}

for (const way of [mirrorfs, ...grafted('bindfs', 'passthrough_ll')])
  t.test(
    `a change takes effect once, wherever its daemon dies: ${way.name}, by ${way.revive}`,
    { skip: way.skip, timeout: 120_000, buffered: true },
    (t) => takeEffectOnce(t, way),
  )

async function takeEffectOnce(t: Test, way: Way): Promise<void> {
  const place = placeFor(t)
  const { daemon, doom, left } = await way.mortal(place)
  const managed = await Managed.serving(place, { daemon, options: way.options })
  const application = new Application(place)

  for (const { change, opcode, given, act, made, except } of rows) {
    if (except?.includes(way.name)) continue
    for (const steps of deaths[way.revive]) {
      await t.test(`${change}, killed when it is ${steps.join(', and again when it is ')}`, async (t) => {
        const name = `${change} ${steps.join()}`
        const [beneath, seen] = [join(place.source, name), join(place.mount, name)]
        mkdirSync(beneath)
        given?.(beneath)
        await application.do('statSync', seen)
        doom(...steps.map((step) => `1 ${step} ${opcode}`))
        await act(application, seen)
        t.same(contents(beneath), made, 'the change was made once')
        // What can be repeated without harm is not recorded.
        if (!steps.includes('recorded')) t.equal(left(), 0, 'it was killed as often as planned')
        doom()
      })
    }
  }
  await endsWell(t, managed, way.ends)
}
