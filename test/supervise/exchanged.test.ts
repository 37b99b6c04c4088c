// Two names that are exchanged without a pause while the daemon is killed: each exchange is done once.
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { Application } from '../fixtures/application.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { cannotGraft, stockDaemons } from '../fixtures/stock-daemons.js'

/** One in ten or so hits an exchange that the daemon has read. */
const CRASHES = 20

t.test('exchanges under kills', { skip: cannotGraft('fuse-overlayfs') }, async (t) => {
  const place = placeFor(t)
  const managed = await Managed.serving(place, {
    daemon: stockDaemons['fuse-overlayfs'].command(place),
    options: [...unlimited, '--revive', 'graft'],
  })
  const app = new Application(place)
  const [one, two, end] = [`${place.mount}/one`, `${place.mount}/two`, place.path('end')]
  await app.do('writeFileSync', one, 'first')
  await app.do('writeFileSync', two, 'second')
  const exchanged = app.call('exchangeUntil', one, two, end)
  for (let i = 0; i < CRASHES; i++) await managed.crash()
  writeFileSync(end, '')
  const isOdd = ((await exchanged) as number) % 2 === 1
  t.equal(await app.do('readFileSync', one, 'utf8'), isOdd ? 'second' : 'first')
  t.equal(await app.do('readFileSync', two, 'utf8'), isOdd ? 'first' : 'second')
  t.same(managed.log.all('noted'), [], 'no exchange had to be given up, and no file')
})
