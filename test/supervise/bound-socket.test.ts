// A unix socket that is bound to a name of the mount: the kernel finds who listens by the very inode that it was bound to.
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Child, runToEnd } from '../fixtures/child.js'
import { Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { grafted } from '../fixtures/ways.js'

const LISTENER = `require('net').createServer((c) => c.end('served')).listen('here', () => console.log('listening'))`
const CLIENT = `require('net').connect(process.argv[1]).pipe(process.stdout)`
/** Libfuse's entry_timeout: then the name is looked up anew. */
const NAMES_LAST_MS = 1000

for (const way of grafted('bindfs', 'passthrough_ll'))
  t.test(`${way.name}: who listens in a folder of the mount is found after crashes`, { skip: way.skip }, async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
    const application = new Application(place)
    const folder = join(place.mount, 'folder')
    await application.do('mkdirSync', folder)
    // By a name that is not absolute: only the kernel knows where that is.
    const listener = new Child([process.execPath, '-e', LISTENER], { cwd: folder })
    place.undo(() => listener.kill())
    await listener.says(/listening/)
    await application.do('writeFileSync', join(folder, 'file'), 'x')
    const served = async (): Promise<string> => {
      const { stdout, stderr } = await runToEnd([process.execPath, '-e', CLIENT, join(folder, 'here')], { cwd: '/' })
      return stdout + stderr
    }
    t.equal(await served(), 'served')
    for (let life = 2; life < 4; life++) {
      await managed.crash()
      t.equal(await served(), 'served', `life ${life}`)
    }
    await pass(NAMES_LAST_MS + 100)
    t.equal(await served(), 'served', 'by a name that was looked up anew')
    const { healing } = await managed.status()
    t.ok(
      healing?.pins.some(({ pid, path }) => pid === listener.pid && path === join(folder, 'here')),
      'it is told who keeps the mount behind the relay',
    )
    await listener.kill()
    t.match(await managed.event('healed'), { life: 3 })
    await endsWell(t, managed, way.ends)
  })
