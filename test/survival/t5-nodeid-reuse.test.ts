// T5: a file that was opened before the crash never shows another file's bytes, however inode numbers, names and nodeids
// are reused afterwards.
import { constants, readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { endsWell } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'

const { O_RDONLY, O_DIRECT } = constants
const MINE = 'the bytes of the file that was opened'
const OTHER = 'the bytes of another file ...........'
const FILES = 200

/** What happens to the file after it was opened and before the next life serves, through the mount or beneath it. */
const rows: readonly {
  what: string
  before?: (mounted: string, application: Application) => Promise<unknown>
  during?: (beneath: string) => void
  /** What the open file then reads; ESTALE where its bytes are gone for good. */
  reads: readonly string[]
}[] = [
  { what: 'nothing', reads: [MINE] },
  {
    what: 'it is unlinked and its name given to another',
    async before(mounted, application) {
      await application.do('unlinkSync', mounted)
      await application.do('writeFileSync', mounted, OTHER)
    },
    reads: [MINE],
  },
  {
    what: 'another is renamed over it',
    async before(mounted, application) {
      await application.do('writeFileSync', `${mounted}.other`, OTHER)
      await application.do('renameSync', `${mounted}.other`, mounted)
    },
    reads: [MINE],
  },
  {
    what: 'it is renamed away and another takes its name, beneath the mount, while no life serves',
    during(beneath) {
      renameSync(beneath, `${beneath}.away`)
      writeFileSync(beneath, OTHER)
    },
    reads: [MINE],
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
    reads: ['ESTALE', MINE],
  },
]

for (const { what, before, during, reads } of rows) {
  t.test(`an open file reads its own bytes after a crash when meanwhile ${what}`, async (t) => {
    const place = placeFor(t)
    const managed = await Managed.serving(place, { options: unlimited })
    const [application, other] = [new Application(place), new Application(place)]
    const [mounted, beneath] = [join(place.mount, 'file'), join(place.source, 'file')]
    await application.do('writeFileSync', mounted, MINE)
    // Past the page cache, so that each read is the daemon's answer.
    const fd = await application.do('openSync', mounted, O_RDONLY | O_DIRECT)
    await before?.(mounted, other)
    const from = managed.log.events.length
    process.kill(managed.daemon, 'SIGSTOP')
    during?.(beneath)
    process.kill(managed.daemon, 'SIGKILL')
    await managed.event('revived', { from })

    // New nodeids are given out, to files that are looked at for the first time.
    for (let i = 0; i < FILES; i++) writeFileSync(join(place.source, `new${i}`), OTHER)
    for (const name of readdirSync(place.source)) await other.outcome('readFileSync', join(place.mount, name))

    const read = await application.do('readFileSync', fd, 'utf8').catch(codeOf)
    t.ok(reads.includes(String(read)), `it read ${read}`)
    // What was changed beneath the mount is seen when the kernel's cache is over, as without a crash.
    if (!during)
      t.equal(await other.do('readFileSync', mounted, 'utf8'), readFileSync(beneath, 'utf8'), 'a new one the present')
    await endsWell(t, managed)
  })
}

/** Node has no name for 116. */
const codeOf = ({ code = '', message }: NodeJS.ErrnoException): string => (/-116/.test(message) ? 'ESTALE' : code)
