// A call that is under way in a folder which nobody has open or stands in: nothing shows the folder's generation, and there
// are daemons that give each life another one.
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { grafted } from '../fixtures/ways.js'

for (const way of grafted('mergerfs'))
  t.test(`${way.name}: a folder is made in one that nobody holds`, { skip: way.skip }, async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
    const application = new Application(place)
    const folder = join(place.mount, 'folder')
    // It draws its generation by the second in which it starts.
    await pass(1000)
    await application.do('mkdirSync', folder)
    await managed.pause()
    const made = application.do('mkdirSync', join(folder, 'one'))
    await managed.waiting(1)
    await managed.crash()
    await made
    t.same(await application.do('readdirSync', folder), ['one'])
    await endsWell(t, managed, way.ends)
  })
