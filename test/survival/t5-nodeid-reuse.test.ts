// T5: a file that was opened before the crash never shows another file's bytes, however inode numbers, names and nodeids
// are reused afterwards.
import { constants, readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { grafted, mirrorfs, type Way } from '../fixtures/ways.js'

const { O_RDONLY, O_DIRECT } = constants
const MINE = 'the bytes of the file that was opened'
const OTHER = 'the bytes of another file ...........'
const FILES = 200
const ESTALE = 116

/** What happens to the file after it was opened and before the next life serves, through the mount or beneath it. */
const rows: readonly {
  what: string
  before?: (mounted: string, application: Application) => Promise<unknown>
  during?: (beneath: string) => void
  /** What the open file then reads; ESTALE where nobody can tell any more which file it was. */
  reads: (way: Way) => readonly string[]
}[] = [
  { what: 'nothing', reads: () => [MINE] },
  {
    what: 'it is unlinked and its name given to another',
    async before(mounted, application) {
      await application.do('unlinkSync', mounted)
      await application.do('writeFileSync', mounted, OTHER)
    },
    reads: itsOwnUnlessLost,
  },
  {
    what: 'another is renamed over it',
    async before(mounted, application) {
      await application.do('writeFileSync', `${mounted}.other`, OTHER)
      await application.do('renameSync', `${mounted}.other`, mounted)
    },
    reads: itsOwnUnlessLost,
  },
  {
    what: 'it is renamed away and another takes its name, beneath the mount, while no life serves',
    during(beneath) {
      renameSync(beneath, `${beneath}.away`)
      writeFileSync(beneath, OTHER)
    },
    // The kernel has the old name only.
    reads: ({ revive }) => (revive === 'graft' ? ['ESTALE'] : [MINE]),
  },
  {
    what: 'it is removed beneath the mount and its inode number reused, while no life serves',
    during(beneath) {
      const { ino } = statSync(beneath)
      unlinkSync(beneath)
      for (let i = 0; i < FILES; i++) {
        const path = `${beneath}.${i}`
        writeFileSync(path, OTHER)
        if (statSync(path).ino === ino) break
      }
    },
    reads: () => ['ESTALE', MINE],
  },
]

for (const way of [mirrorfs, ...grafted('bindfs', 'passthrough_ll', 'sshfs')])
  t.test(
    `${way.name}, by ${way.revive}: an open file reads its own bytes after a crash, or none`,
    { skip: way.skip },
    (t) => reuses(t, way),
  )

// libfuse's high-level daemons have a nodeid for each name, so that to the kernel these are two files anyway.
for (const way of [mirrorfs, ...grafted('passthrough_ll')])
  t.test(
    `${way.name}, by ${way.revive}: a file with two names is one file after a crash`,
    { skip: way.skip },
    async (t) => {
      const place = placeFor(t)
      const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
      const application = new Application(place)
      const [one, two] = [join(place.mount, 'one'), join(place.mount, 'two')]
      await application.do('writeFileSync', one, MINE)
      await application.do('linkSync', one, two)
      // The kernel has both cached, for a second or so.
      for (const path of [one, two]) t.match(await application.do('statSync', path), { nlink: 2 })
      await managed.crash()
      await application.do('truncateSync', two, 3)
      await application.do('unlinkSync', two)
      t.match(
        await application.do('statSync', one),
        { nlink: 1, size: 3 },
        'what happens by one name is seen by the other',
      )
      await endsWell(t, managed, way.ends)
    },
  )

// It has the nodeid in it, and nothing tells the kernel that a later life means another file by that.
for (const way of grafted('bindfs', 'unionfs-fuse', 'sshfs'))
  t.test(
    `${way.name}, by ${way.revive}, behind the relay for good: a file handle reads its own bytes in each life, or none`,
    { skip: way.skip },
    async (t) => {
      const place = placeFor(t)
      const options = [...way.options, '--after-heal', 'relay']
      const managed = await Managed.serving(place, { daemon: way.daemon(place), options })
      const [application, other] = [new Application(place), new Application(place)]
      const mine = join(place.mount, 'mine')
      await application.do('writeFileSync', mine, MINE)
      const handle = await application.do('handleOf', mine)
      t.equal(await application.do('readByHandle', place.mount, handle), MINE)
      for (let life = 2; life < 5; life++) {
        const from = managed.log.events.length
        await managed.crash()
        t.match(await managed.event('relayed', { from }), { reason: 'asked' })
        for (let i = 0; i < 10; i++) {
          const name = `life ${life}, ${i}`
          writeFileSync(join(place.source, name), OTHER)
          t.equal(await other.do('readFileSync', join(place.mount, name), 'utf8'), OTHER)
        }
        const read = await application.do('readByHandle', place.mount, handle)
        t.ok(read === MINE || read === -ESTALE, `life ${life}: it read ${read}`)
      }
      await endsWell(t, managed, way.ends)
    },
  )

function itsOwnUnlessLost({ loses }: Way): string[] {
  return 'unlinked' in loses ? ['ESTALE'] : [MINE]
}

async function reuses(t: Test, way: Way): Promise<void> {
  const place = placeFor(t)
  const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
  const [application, other] = [new Application(place), new Application(place)]
  const fds: unknown[] = []
  for (const [i, { before }] of rows.entries()) {
    const mounted = join(place.mount, `file ${i}`)
    await application.do('writeFileSync', mounted, MINE)
    // Past the page cache, so that each read is the daemon's answer.
    fds.push(await application.do('openSync', mounted, O_RDONLY | O_DIRECT))
    await before?.(mounted, other)
  }
  const from = managed.log.events.length
  await managed.pause()
  for (const [i, { during }] of rows.entries()) during?.(join(place.source, `file ${i}`))
  process.kill(managed.daemon, 'SIGKILL')
  await managed.event('revived', { from })

  // New nodeids are given out, to files that are looked at for the first time.
  for (let i = 0; i < FILES; i++) writeFileSync(join(place.source, `new ${i}`), OTHER)
  for (const name of readdirSync(place.source)) await other.outcome('readFileSync', join(place.mount, name))

  for (const [i, { what, during, reads }] of rows.entries()) {
    if (during && way.faceless !== undefined) {
      t.pass(`when meanwhile ${what}`, { skip: way.faceless })
      continue
    }
    const read = await application.do('readFileSync', fds[i], 'utf8').catch(({ code }) => code)
    t.ok(reads(way).includes(String(read)), `when meanwhile ${what}, it read ${read}`)
    // What was changed beneath the mount is seen when the kernel's cache is over, as without a crash.
    if (during) continue
    const [mounted, beneath] = [join(place.mount, `file ${i}`), join(place.source, `file ${i}`)]
    t.equal(await other.do('readFileSync', mounted, 'utf8'), readFileSync(beneath, 'utf8'), 'a new one the present')
  }
  await endsWell(t, managed, way.ends)
}
