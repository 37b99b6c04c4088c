// What is held on to where it is not looked for first. Through other mounts of the same file system: a part of it that is
// shown in another mount namespace, as a container has it for a volume, and what is open by a mount that has been unmounted
// lazily. And by a thread that stands elsewhere than its process.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Child } from '../fixtures/child.js'
import { compiledVictim, noCompiler } from '../fixtures/compiled.js'
import { within } from '../fixtures/deadline.js'
import { Managed } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { grafted } from '../fixtures/ways.js'

const FILES = 6

/** A folder `part` of the mount whose nodeids no later life gives out by chance. */
async function begin(t: Test, way: (typeof ways)[number]) {
  const place = placeFor(t)
  mkdirSync(join(place.source, 'part'))
  writeFileSync(join(place.source, 'part', 'file'), 'of the part')
  for (let i = 0; i < FILES; i++) writeFileSync(join(place.source, `${i}`), '')
  const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
  const application = new Application(place)
  for (let i = 0; i < FILES; i++) await application.do('readFileSync', join(place.mount, `${i}`))
  await application.do('statSync', join(place.mount, 'part', 'file'))
  const elsewhere = place.path('elsewhere')
  mkdirSync(elsewhere)
  return { place, managed, application, elsewhere }
}

/** A life that has met other files first, and the folder too by its name. */
async function crash(place: Place, managed: Managed, application: Application, path: string): Promise<void> {
  await managed.crash()
  for (let i = 1; i < FILES; i++) await application.do('readFileSync', join(place.mount, `${i}`))
  await application.do('statSync', join(place.mount, 'part', 'file'))
  const told = async (): Promise<void> => {
    // What was looked up anew meanwhile by its name has none in the kernel's words.
    const isIt = (pin: { path: string }): boolean => pin.path.replace(/ \(deleted\)$/, '') === path
    while (!(await managed.status()).healing?.pins.some(isIt)) await pass(20)
  }
  await within(told(), 20_000, `${path} among what is held`)
}

const ways = grafted('bindfs', 'passthrough_ll')
for (const way of ways) {
  t.test(`${way.name}: a part that another mount namespace shows goes on there`, { skip: way.skip }, async (t) => {
    const { place, managed, application, elsewhere } = await begin(t, way)
    const script = 'mount --bind "$1" "$2" && cd / && echo ready && while read x; do cat "$2/file" && echo ,; done'
    const argv = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh']
    const container = new Child([...argv, join(place.mount, 'part'), elsewhere])
    place.undo(() => container.kill())
    await container.says(/ready/)
    for (let life = 2; life < 4; life++) {
      await crash(place, managed, application, elsewhere)
      container.process.stdin?.write('\n')
      await container.says(new RegExp(`^ready\\n(of the part,\\n){${life - 1}}$`))
    }
    t.equal(managed.log.all('crashed').length, 2, 'the daemon was asked for nothing that it does not know')
    await container.kill()
    t.match(await managed.event('healed'), { life: 3 })
    await endsWell(t, managed, way.ends)
  })

  t.test(`${way.name}: what is open by a mount that is gone goes on`, { skip: way.skip }, async (t) => {
    const { place, managed, application, elsewhere } = await begin(t, way)
    place.undo(() => spawnSync('umount', ['--lazy', elsewhere]))
    t.equal(spawnSync('mount', ['--bind', join(place.mount, 'part'), elsewhere]).status, 0)
    const user = new Application(place)
    const fd = await user.do('openSync', join(elsewhere, 'file'))
    t.equal(spawnSync('umount', ['--lazy', elsewhere]).status, 0)
    for (let life = 2; life < 4; life++) {
      await crash(place, managed, application, '/file')
      t.equal(await user.do('readFrom', fd, 0, 100), 'of the part', `life ${life}`)
    }
    t.equal(managed.log.all('crashed').length, 2, 'the daemon was asked for nothing that it does not know')
    await user.do('closeSync', fd)
    t.match(await managed.event('healed'), { life: 3 })
    await endsWell(t, managed, way.ends)
  })

  t.test(`${way.name}: who stands in a folder by a mount that is gone goes on there`, { skip: way.skip }, async (t) => {
    const { place, managed, application, elsewhere } = await begin(t, way)
    place.undo(() => spawnSync('umount', ['--lazy', elsewhere]))
    t.equal(spawnSync('mount', ['--bind', join(place.mount, 'part'), elsewhere]).status, 0)
    const user = new Application(place)
    await user.do('chdir', elsewhere)
    t.equal(spawnSync('umount', ['--lazy', elsewhere]).status, 0)
    for (let life = 2; life < 4; life++) {
      await crash(place, managed, application, '/')
      t.equal(await user.do('readFileSync', 'file', 'utf8'), 'of the part', `life ${life}`)
    }
    t.equal(managed.log.all('crashed').length, 2, 'the daemon was asked for nothing that it does not know')
    await user.do('chdir', '/')
    t.match(await managed.event('healed'), { life: 3 })
    await endsWell(t, managed, way.ends)
  })

  t.test(`${way.name}: a thread stands where its process does not`, { skip: way.skip || noCompiler }, async (t) => {
    const { place, managed, application } = await begin(t, way)
    const part = join(place.mount, 'part')
    const process = new Child([compiledVictim(place, 'thread-apart'), part])
    place.undo(() => process.kill())
    await process.says(/ready/)
    for (let life = 2; life < 4; life++) {
      await crash(place, managed, application, part)
      process.process.stdin?.write('\n')
      await process.says(new RegExp(`^ready\n(of the part,\n){${life - 1}}$`))
    }
    t.equal(managed.log.all('crashed').length, 2, 'the daemon was asked for nothing that it does not know')
    await process.kill()
    t.match(await managed.event('healed'), { life: 3 })
    await endsWell(t, managed, way.ends)
  })
}
