import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MirrorLives } from '../fixtures/mirror-lives.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { snapshot } from '../fixtures/snapshot.js'
import { SyscallApplication } from '../fixtures/syscalls.js'
import { as, at, O_CREAT, operations, p, r, room } from './operations.js'

t.setTimeout(170_000)

const fileSystems: [what: string, sourceFor: (place: Place) => string][] = [
  ['ext4, or what the temporary folder is on', (place) => place.source],
  [
    'tmpfs',
    (place) => {
      const folder = mkdtempSync('/dev/shm/keepmount-test-')
      place.undo(() => rmSync(folder, { recursive: true, force: true }))
      return folder
    },
  ],
]

for (const [what, sourceFor] of fileSystems)
  t.test(`on ${what}, each operation does what it does in the folder itself`, async (t) => {
    const place = placeFor(t)
    const source = sourceFor(place)
    const plain = join(source, '..', `plain-of-${source.split('/').at(-1)}`)
    mkdirSync(plain)
    place.undo(() => rmSync(plain, { recursive: true, force: true }))
    // Other users take part.
    for (const folder of [place.folder, source, plain]) chmodSync(folder, 0o755)
    const lives = await new MirrorLives(place, source).start()
    for (const [i, { what, calls }] of operations.entries()) {
      const name = `row-${i}`
      mkdirSync(join(plain, name))
      mkdirSync(join(source, name))
      const direct = new SyscallApplication(place, join(plain, name))
      const mirrored = new SyscallApplication(place, join(place.mount, name))
      const [expected, found] = await Promise.all([direct.run(...calls), mirrored.run(...calls)])
      t.same(found, expected, `${what}: results`)
      t.same(await mirrored.snapshot(), await direct.snapshot(), `${what}: what is there`)
      direct.end()
      mirrored.end()
      t.same(snapshot(join(source, name)), snapshot(join(plain, name)), `${what}: what is in the source`)
    }
    await lives.pinned(0)
    t.same(await lives.stop(), { code: 0, signal: null })
    t.notOk(readdirSync(source).includes('.mirrorfs'), 'the private folder is gone')
  })

t.test('the private folder is hidden, and its name cannot be taken', async (t) => {
  const place = placeFor(t)
  const lives = await new MirrorLives(place).start()
  const application = new SyscallApplication(place, place.mount)
  const results = await application.run(
    ['openat', at, p('.mirrorfs'), 0],
    ['mkdirat', at, p('.mirrorfs'), 0o755],
    ['openat', at, p('.mirrorfs'), O_CREAT, 0o644],
    ['openat', at, p('file'), O_CREAT, 0o644],
    ['renameat2', at, p('file'), at, p('.mirrorfs'), 0],
    ['renameat2', at, p('.mirrorfs'), at, p('other'), 0],
    ['unlinkat', at, p('.mirrorfs'), 0x200],
    ['openat', at, p(''), 0, as('root')],
    ['getdents64', r('root'), room(1024), 1024],
  )
  const [ENOENT, EPERM] = [-2, -1]
  t.same(results.slice(0, 8), [ENOENT, EPERM, EPERM, 'fd', EPERM, ENOENT, ENOENT, 'fd'])
  t.notMatch(String(results[8]), /mirrorfs/)
  t.match(String(results[8]), /file/)
  t.equal((await lives.stop()).code, 0)
})
