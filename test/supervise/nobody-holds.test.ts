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

/** For how long it lets the kernel keep a name. */
const NAMES_LAST_MS = 1000
const makings: Record<string, (by: Application, path: string, other: string) => Promise<unknown>> = {
  'a folder': (by, path) => by.do('mkdirSync', path),
  'a symbolic link': (by, path) => by.do('symlinkSync', 'target', path),
  'a link': (by, path, other) => by.do('linkSync', other, path),
}

for (const way of grafted('mergerfs'))
  for (const are of ['known', 'not known any more'] as const)
    t.test(
      `${way.name}: what is made in a folder that nobody holds is made, when the names of the root are ${are}`,
      { skip: way.skip },
      async (t) => {
        const place = placeFor(t)
        const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
        const application = new Application(place)
        const folder = join(place.mount, 'folder')
        // It draws its generation by the second in which it starts.
        await pass(1000)
        await application.do('mkdirSync', folder)
        await application.do('writeFileSync', join(folder, 'file'), 'x')
        // Then nothing need be asked before the name is looked up that is to be made.
        await application.do('statSync', folder)
        await managed.pause()
        const made = Object.entries(makings).map(([what, make]) =>
          make(new Application(place), join(folder, what), join(folder, 'file')),
        )
        await managed.waiting(1)
        if (are !== 'known') await pass(NAMES_LAST_MS + 100)
        await managed.crash()
        await Promise.all(made)
        t.same(await application.do('readdirSync', folder), ['a folder', 'a link', 'a symbolic link', 'file'])
        await endsWell(t, managed, way.ends)
      },
    )
