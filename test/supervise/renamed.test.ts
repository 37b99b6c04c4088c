// A file that is written and renamed without a pause while the daemon is killed. With a write-back cache the kernel tells the
// daemon the file's times after each rename, and moves the name only then.
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { Application } from '../fixtures/application.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { cannotGraft, type StockName, stockDaemons } from '../fixtures/stock-daemons.js'

const CRASHES = 12

for (const name of ['fuse-overlayfs', 'passthrough_ll-writeback', 'passthrough_ll'] as const satisfies StockName[])
  for (const isOpen of [true, false])
    t.test(`${name}: renames under kills, ${isOpen ? 'open' : 'closed'}`, { skip: cannotGraft(name) }, async (t) => {
      const place = placeFor(t)
      const managed = await Managed.serving(place, {
        daemon: stockDaemons[name].command(place),
        options: [...unlimited, '--revive', 'graft'],
      })
      const app = new Application(place)
      const [one, two, end] = [`${place.mount}/one`, `${place.mount}/two`, place.path('end')]
      const renamed = app.call('renameUntil', one, two, end, isOpen)
      for (let i = 0; i < CRASHES; i++) await managed.crash()
      writeFileSync(end, '')
      const count = (await renamed) as number
      const [here, there] = count % 2 === 1 ? [two, one] : [one, two]
      t.equal(await app.do('readFileSync', here, 'utf8'), `${count - 1}`)
      t.equal(await app.outcome('statSync', there), 'ENOENT')
      t.notOk(managed.log.find('noted', { where: ({ what }) => what.includes('gone') }), 'no file was lost')
    })
