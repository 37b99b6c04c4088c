// A file that was open before a crash, and loses its name after it before anything is done with it: the daemon must come to
// know that it is open before it takes the name away.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Application } from '../fixtures/application.js'
import { until } from '../fixtures/deadline.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { cannotGraft, type StockName, stockDaemons } from '../fixtures/stock-daemons.js'

const ways = {
  'is unlinked': ['unlinkSync', ['file']],
  'is replaced': ['renameSync', ['other', 'file']],
} as const

for (const name of ['bindfs', 'passthrough_fh', 'sshfs', 'gocryptfs'] as const satisfies StockName[])
  t.test(`${name}: an open file keeps its bytes when after a crash it`, { skip: cannotGraft(name) }, async (t) => {
    const place = placeFor(t)
    const daemon = stockDaemons[name]
    const managed = await Managed.serving(place, {
      daemon: daemon.command(place),
      options: [...unlimited, '--revive', 'graft'],
    })
    for (const [how, [call, names]] of Object.entries(ways)) {
      const [app, other] = [new Application(place), new Application(place)]
      await app.do('writeFileSync', `${place.mount}/file`, 'its own bytes')
      await app.do('writeFileSync', `${place.mount}/other`, 'other bytes!!')
      // Another life than the one that made them, so that nothing of them is cached.
      await managed.crash()
      const fd = await app.do('openSync', `${place.mount}/file`, 'r')
      await managed.crash()
      await other.do(call, ...names.map((each) => `${place.mount}/${each}`))
      t.equal(await app.do('readFrom', fd, 0, 13), 'its own bytes', how)
      await app.do('closeSync', fd)
      const beneath = daemon.beneath(place)
      if (beneath !== null)
        await until(() => !readdirSync(beneath).some((each) => each.startsWith('.')), 'nothing hidden is left')
      for (const each of [app, other]) each.kill()
      await Promise.all([app.ended, other.ended])
    }
  })

for (const name of ['bindfs', 'passthrough_fh', 'sshfs'] as const satisfies StockName[])
  t.test(`${name}: what is closed while it is dead is not left hidden`, { skip: cannotGraft(name) }, async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, {
      daemon: stockDaemons[name].command(place),
      options: [...unlimited, '--revive', 'graft'],
    })
    const app = new Application(place)
    for (const life of ['the first', 'a later one']) {
      await app.do('mkdirSync', `${place.mount}/folder`)
      const fd = await app.do('openSync', `${place.mount}/folder/file`, 'w+')
      await app.do('writeSync', fd, 'its own bytes')
      // What the first life hides, no relay has seen.
      await app.do('unlinkSync', `${place.mount}/folder/file`)
      await managed.pause()
      const closed = app.do('closeSync', fd)
      await managed.waiting(1)
      await managed.crash()
      await closed
      await until(() => readdirSync(join(place.source, 'folder')).length === 0, `nothing hidden is left by ${life}`)
      await app.do('rmdirSync', `${place.mount}/folder`)
    }
    t.same(readdirSync(place.source), [])
  })
