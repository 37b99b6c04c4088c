// A file with two names, of which the kernel looks one up anew after a crash, while it has the other still cached from before:
// it is one file under both, with one number of links and one size.
import type { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Application } from '../fixtures/application.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { cannotGraft, stockDaemons } from '../fixtures/stock-daemons.js'

/** For how long passthrough_ll lets the kernel keep a name, and what it is. */
const CACHED_MS = 1000
/** How long before the name that was had first is looked up anew the crash comes. */
const BEFORE_MS = 150

// Others know each name of a file as another file, without a crash as well.
for (const change of ['unlinked', 'linked', 'written'] as const)
  t.test(`passthrough_ll: a file ${change} by its other name`, { skip: cannotGraft('passthrough_ll') }, async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, {
      daemon: stockDaemons.passthrough_ll.command(place),
      options: [...unlimited, '--revive', 'graft'],
    })
    const app = new Application(place)
    const stat = async (path: string) => (await app.do('statSync', path)) as NonNullable<ReturnType<typeof statSync>>
    const [one, two, three] = ['one', 'two', 'three'].map((name) => `${place.mount}/${name}`) as [
      string,
      string,
      string,
    ]
    // So that it stays behind its relay.
    await app.do('openSync', `${place.mount}/held`, 'w')
    await app.do('writeFileSync', one, 'text')
    await sleep(CACHED_MS - BEFORE_MS)
    await app.do('linkSync', one, two)
    // What the kernel knows of the file is fresh now, and the second name as well.
    await app.do('truncateSync', two, 4)
    await managed.crash()
    await sleep(BEFORE_MS)
    t.equal((await stat(one)).nlink, 2)
    if (change === 'unlinked') await app.do('unlinkSync', one)
    else if (change === 'linked') await app.do('linkSync', one, three)
    else await app.do('appendFileSync', one, 'more')
    const seen = await stat(two)
    t.equal(seen.nlink, { unlinked: 1, linked: 3, written: 2 }[change])
    t.equal(seen.size, change === 'written' ? 8 : 4)
    await managed.stop()
  })
