// Real stock daemons, killed again and again under an application that holds on to everything, and brought back to the
// channel in the end.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { waitingRequests } from '../../src/kernel/connection.js'
import { connectionOf } from '../../src/kernel/mountinfo.js'
import { Application } from '../fixtures/application.js'
import { until } from '../fixtures/deadline.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { cannotGraft, type StockName, stockDaemons } from '../fixtures/stock-daemons.js'
import { Revived } from './revived.js'

const KILLS = 3
const MANY = 50
const names = Array.from({ length: MANY }, (_, i) => `entry-${String(i).padStart(2, '0')}`)

/** What a read of a file says that was unlinked while open. */
const [kept, gone] = ['the old bytes', 'ESTALE']
const unlinkedFile = {
  // libfuse's high-level daemons rename it instead.
  bindfs: [kept],
  passthrough_ll: [gone],
  // The daemon has lost it as well. What was written is still in the kernel's cache, and is read there as long as the kernel
  // need not ask for the file's attributes: for a second (attr_timeout). Source: fs/fuse/file.c, fuse_cache_read_iter.
  'passthrough_ll-writeback': [kept, gone],
  passthrough_fh: [kept],
} as const satisfies Partial<Record<StockName, readonly string[]>>

for (const name of Object.keys(unlinkedFile) as (keyof typeof unlinkedFile)[]) {
  const skip = cannotGraft(name)
  t.test(`${name}: what an application holds goes on through kill -9`, { skip }, (t) => holds(t, name))
}

async function holds(t: Test, name: keyof typeof unlinkedFile): Promise<void> {
  const place = prepared(t)
  const revived = await Revived.start(place, stockDaemons[name].command(place))
  const { mount } = place
  const app = new Application(place)
  const holder = new Application(place)
  const file = (await app.do('openSync', `${mount}/a/file`, 'r+')) as number
  const log = (await app.do('openSync', `${mount}/a/log`, 'a')) as number
  const { ino } = (await app.do('fstatSync', file)) as { ino: number }
  await app.do('chdir', `${mount}/a/b`)
  const folder = (await app.do('openFolder', `${mount}/many`)) as number
  const seen = (await app.do('readFolder', folder, 3)) as string[]
  const unlinked = (await holder.do('openSync', `${mount}/gone`, 'w+')) as number
  await holder.do('writeSync', unlinked, 'the old bytes')
  await holder.do('unlinkSync', `${mount}/gone`)
  await holder.do('writeFileSync', `${mount}/gone`, 'ANOTHER FILE!')

  for (let kill = 1; kill <= KILLS; kill++) {
    await revived.kill()
    const read = app.do('readFrom', file, 0, 5)
    await revived.revive()
    t.equal(await read, 'first', `kill ${kill}: what is read is what was there`)
    t.equal(((await app.do('fstatSync', file)) as { ino: number }).ino, ino, 'the inode number stays')
    t.equal(await app.do('cwd'), `${mount}/a/b`, 'the current folder has its name')
    t.equal(await app.do('readFileSync', 'in-b', 'utf8'), 'in b', 'and leads on')
    await app.do('writeSync', file, `life ${kill}`, 100 * kill)
    await app.do('writeSync', log, `${kill}\n`)
    await app.do('fsyncSync', log)
    seen.push(...((await app.do('readFolder', folder, 5)) as string[]))
    await app.do('writeFileSync', `${mount}/a/new-${kill}`, 'new')
    await app.do('renameSync', `${mount}/a/new-${kill}`, `${mount}/a/moved-${kill}`)
    await app.do('mkdirSync', `${mount}/a/folder-${kill}`)
    const old = await holder.call('readFrom', unlinked, 0, 13).catch((error: NodeJS.ErrnoException) => error.code)
    const expected: readonly unknown[] = unlinkedFile[name]
    t.ok(expected.includes(old), `an unlinked file is itself or gone: ${old}`)
  }
  t.equal(await app.do('readFileSync', `${mount}/a/log`, 'utf8'), '1\n2\n3\n', 'each line is appended once')
  for (let kill = 1; kill <= KILLS; kill++)
    t.equal(await app.do('readFrom', file, 100 * kill, 6), `life ${kill}`, 'writes have arrived')
  seen.push(...((await app.do('readFolder', folder, MANY)) as string[]))
  t.same(seen.toSorted(), names, 'a folder half read is read to its end, each name once')
  t.notOk(await revived.heal(), 'with files open it stays on the relay')
  t.match(revived.relay?.obstacles(), [{ pid: Number }], 'and says who holds them')
  t.ok(
    revived.relay?.pins().some(({ kind, path }) => kind === 'open' && path === `${mount}/a/file`),
    'and by which path',
  )

  app.kill()
  holder.kill()
  await Promise.all([app.ended, holder.ended])
  const connection = connectionOf(revived.mount.device)
  await until(() => revived.relay?.obstacles().length === 0, 'nothing is held')
  await until(() => waitingRequests(connection) === 0, 'all requests answered')
  t.ok(await revived.heal(), 'healed when nothing is held any more')
  t.same(revived.ends.at(-1), { by: 'stopped' })
  t.same(
    revived.reports.filter((what) => !what.includes('is gone')),
    [],
    'nothing else to report',
  )

  const later = new Application(place)
  t.equal(await later.do('readFileSync', `${mount}/gone`, 'utf8'), 'ANOTHER FILE!', 'the daemon serves the channel')
  await later.do('writeFileSync', `${mount}/after`, 'after')
  t.same(readdirSync(place.source).toSorted(), ['a', 'after', 'gone', 'many'], 'nothing hidden is left')
  later.kill()
  await later.ended
  await revived.kill()
  await revived.revive()
  const last = new Application(place)
  t.equal(await last.do('readFileSync', `${mount}/after`, 'utf8'), 'after', 'and it can be killed again')
}

function prepared(t: Test): Place {
  const place = placeFor(t)
  for (const folder of ['a', 'a/b', 'many']) mkdirSync(join(place.source, folder))
  writeFileSync(join(place.source, 'a/file'), 'first')
  writeFileSync(join(place.source, 'a/b/in-b'), 'in b')
  for (const name of names) writeFileSync(join(place.source, 'many', name), name)
  return place
}
