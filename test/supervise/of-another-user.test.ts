// A mount of another user that is not open to others: the kernel lets nobody else look into it, root neither, and what
// keepmount has to find out there it asks as that user.
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type Owner, readFuseMounts } from '../../src/kernel/mountinfo.js'
import { Companion } from '../../src/relay/companions/companion.js'
import { ResolverLine } from '../../src/relay/companions/resolver-line.js'
import { Application } from '../fixtures/application.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { cannotGraft, stockDaemons } from '../fixtures/stock-daemons.js'

/** Nobody, as Debian has it. */
const USER = 65_534
const CRASHES = 3
const EACCES = 13
/** What it needs to mount without fusermount3, which wants /dev/fuse to be open to all. */
const RIGHTS = '+sys_admin,+dac_override'

/** What the resolver is told when it opens the mount's root: a negative errno, or not. */
function opens(mountpoint: string, owner: Owner | null): number {
  const companion = Companion.start(null)
  if (companion === null) throw new Error('no companion can be had')
  if (owner) companion.become(owner)
  const line = new ResolverLine(companion.socket)
  let result: number | null = null
  line.open(Buffer.from(mountpoint), (answer) => {
    result = answer?.result ?? Number.NaN
  })
  while (result === null) line.receive()
  companion.end()
  line.free()
  return result
}

t.test('a mount that is for another user alone goes on as any other', { skip: cannotGraft('bindfs') }, async (t) => {
  const place = placeFor(t)
  chmodSync(place.folder, 0o755)
  mkdirSync(join(place.source, 'folder'))
  writeFileSync(join(place.source, 'folder/file'), 'its own bytes')
  for (const path of [place.source, place.mount, join(place.source, 'folder')]) chownSync(path, USER, USER)
  const user = ['--reuid', `${USER}`, '--regid', `${USER}`, '--clear-groups']
  const rights = ['--inh-caps', RIGHTS, '--ambient-caps', RIGHTS]
  const [bindfs, ...rest] = stockDaemons.bindfs.command(place)
  const daemon = ['setpriv', ...user, ...rights, bindfs, '--no-allow-other', ...rest]
  const managed = await Managed.serving(place, { daemon, options: [...unlimited, '--revive', 'graft'] })
  const options = readFuseMounts()
    .find(({ mountpoint }) => mountpoint === place.mount)
    ?.superOptions.split(',')
  t.ok(options?.includes(`user_id=${USER}`) && !options.includes('allow_other'), 'it is for its user alone')
  t.equal(opens(place.mount, null), -EACCES, 'and not for root')
  t.ok(opens(place.mount, { uid: USER, gid: USER }) >= 0, 'a companion that becomes this user keeps its rights')

  const app = new Application(place, { uid: USER, gid: USER })
  await app.do('chdir', join(place.mount, 'folder'))
  const fd = await app.do('openSync', 'file', 'r')
  for (let i = 1; i <= CRASHES; i++) {
    const revived = managed.crash()
    t.equal(await app.do('readFrom', fd, 0, 13), 'its own bytes', `what was open reads on, crash ${i}`)
    await revived
    const [now, next] = i % 2 ? ['file', 'moved'] : ['moved', 'file']
    t.same(await app.do('readdirSync', '.'), [now], 'and names are found from where it is')
    await app.do('renameSync', now, next)
  }
  t.notOk(managed.log.names().includes('noted'), 'nothing was lost')
  await app.do('closeSync', fd)
  await app.do('chdir', '/')
  await managed.event('healed')
})
