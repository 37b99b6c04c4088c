// Files that are open across a crash and have names that other programs trip over: the kernel's own words for a file without
// a name among them.
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { grafted } from '../fixtures/ways.js'

const names = [
  'file (deleted)',
  'file (deleted) (deleted)',
  'two\nlines',
  'back\\slash',
  '\\040',
  ' blank',
  '"quoted"',
  '日本',
  'x'.repeat(255),
].map((each) => Buffer.from(each))
names.push(Buffer.of(0xff, 0xfe, 1))

for (const way of grafted('bindfs', 'passthrough_ll'))
  t.test(`${way.name}: a file is found again, whatever it is called`, { skip: way.skip }, async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
    const application = new Application(place)
    const folder = Buffer.from(`${place.mount}/folder (deleted)`)
    await application.do('mkdirSync', folder)
    const files = names.map((name) => ({ name, path: Buffer.concat([folder, Buffer.from('/'), name]) }))
    const fds: unknown[] = []
    for (const { name, path } of files) {
      await application.do('writeFileSync', path, name)
      fds.push(await application.do('openSync', path, 'r+'))
    }
    for (let crash = 0; crash < 2; crash++) {
      await managed.crash()
      for (const [i, { name, path }] of files.entries()) {
        const what = JSON.stringify(name.toString())
        t.match(await application.do('fstatSync', fds[i]), { size: name.length + crash }, `the attributes of ${what}`)
        t.equal(
          await application.do('writeSync', fds[i], Buffer.of(42 + crash), 0, 1, name.length),
          1,
          `writing ${what}`,
        )
        t.equal(await application.outcome('fsyncSync', fds[i]), 'done')
        t.equal(await application.do('readFileSync', path, 'latin1'), `${name.toString('latin1')}${'*+'[crash]}`)
      }
    }
    for (const fd of fds) await application.do('closeSync', fd)
    t.match(await managed.event('healed'), { life: 3 })
    await endsWell(t, managed, way.ends)
  })
