// The folders above a current folder, or above an open file: they are in use too, though nobody has them open. They keep
// their nodeids over a crash, so that `..` leads to them also after they were looked up by another way, and the file has its
// name still when one of them was renamed.
import { mkdirSync, type statSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { nothingLeft } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { cannotGraft, type StockName, stockDaemons } from '../fixtures/stock-daemons.js'

// The first shows inode numbers of its own, the second those of what it mirrors.
for (const name of ['sshfs', 'bindfs'] as const satisfies StockName[])
  t.test(`${name}: a folder above a current folder stays what it is`, { skip: cannotGraft(name) }, async (t) => {
    const place = placeFor(t)
    mkdirSync(place.path('source/above/middle/current'), { recursive: true })
    const managed = await Managed.serving(place, {
      daemon: stockDaemons[name].command(place),
      options: [...unlimited, '--revive', 'graft'],
    })
    const app = new Application(place)
    const [above, middle] = [`${place.mount}/above`, `${place.mount}/above/middle`]
    await app.do('chdir', `${middle}/current`)
    const other = new Application(place)
    const numberOf = async (path: string): Promise<unknown> =>
      ((await other.do('statSync', path)) as ReturnType<typeof statSync>)?.ino
    const before = [await numberOf(above), await numberOf(middle)]
    for (let kill = 1; kill <= 2; kill++) {
      await managed.crash()
      t.same([await numberOf(above), await numberOf(middle)], before, 'another application sees the same folders')
      t.same(await app.do('readdirSync', '..'), kill === 1 ? ['current'] : ['current', 'new-1'])
      t.same(await app.do('readdirSync', '../..'), ['middle'])
      await app.do('writeFileSync', `../new-${kill}`, 'new')
    }
    t.same(await other.do('readdirSync', middle), ['current', 'new-1', 'new-2'])
    for (const each of [app, other]) each.kill()
    await Promise.all([app.ended, other.ended])
    await managed.event('healed')
    // Each daemon has an exit code of its own for SIGTERM.
    await managed.stop()
    await nothingLeft(t, place)
  })

// Of the first the kernel keeps no names: each is looked up anew.
for (const name of ['passthrough_fh', 'bindfs'] as const satisfies StockName[])
  t.test(`${name}: an open file is found where its folder was moved to`, { skip: cannotGraft(name) }, async (t) => {
    const place = placeFor(t)
    mkdirSync(place.path('source/above/middle'), { recursive: true })
    writeFileSync(place.path('source/above/middle/file'), 'its own bytes')
    const managed = await Managed.serving(place, {
      daemon: stockDaemons[name].command(place),
      options: [...unlimited, '--revive', 'graft'],
    })
    const app = new Application(place)
    const fd = await app.do('openSync', `${place.mount}/above/middle/file`, 'r')
    await managed.crash()
    const other = new Application(place)
    await other.do('renameSync', `${place.mount}/above`, `${place.mount}/moved`)
    await other.do('mkdirSync', `${place.mount}/above`)
    await other.do('mkdirSync', `${place.mount}/above/middle`)
    await other.do('writeFileSync', `${place.mount}/above/middle/file`, 'other bytes!!')
    await managed.crash()
    t.equal(await app.do('readFrom', fd, 0, 13), 'its own bytes')
    await managed.stop()
  })

// The kernel may have the file by each of its names, and tells one of them.
for (const use of ['open', 'mapped'] as const)
  t.test(
    `passthrough_ll: so is one that is ${use} and has another name elsewhere`,
    { skip: cannotGraft('passthrough_ll') },
    async (t) => {
      const place = placeFor(t)
      mkdirSync(place.path('source/above/middle'), { recursive: true })
      mkdirSync(place.path('source/elsewhere'))
      writeFileSync(place.path('source/above/middle/file'), 'its own bytes')
      const managed = await Managed.serving(place, {
        daemon: stockDaemons.passthrough_ll.command(place),
        options: [...unlimited, '--revive', 'graft'],
      })
      const [app, other] = [new Application(place), new Application(place)]
      const fd = await app.do('openSync', `${place.mount}/above/middle/file`, 'r+')
      if (use === 'mapped') {
        await app.do('map', fd, 13)
        await app.do('closeSync', fd)
      }
      await other.do('linkSync', `${place.mount}/above/middle/file`, `${place.mount}/elsewhere/second`)
      await managed.crash()
      // Until names are looked up anew.
      await sleep(1100)
      await other.do('renameSync', `${place.mount}/above`, `${place.mount}/moved`)
      await other.do('unlinkSync', `${place.mount}/elsewhere/second`)
      await managed.crash()
      const read = use === 'open' ? app.do('readFrom', fd, 0, 13) : app.do('readMapped', 13)
      t.equal(await read, 'its own bytes')
      await managed.stop()
    },
  )
