// An application that waits for the daemon while the kernel has its memory map locked: who looks into that map would wait for
// the daemon too, and so for himself.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { nothingLeft } from '../fixtures/after-all.js'
import { Child } from '../fixtures/child.js'
import { compiledVictim, noCompiler } from '../fixtures/compiled.js'
import { until } from '../fixtures/deadline.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'

const skip = process.getuid?.() !== 0 ? 'needs root' : noCompiler
const SIZE = 16 * 4096

t.test('an application that unmaps a file while its daemon dies is served by the next life', { skip }, async (t) => {
  const place = placeFor(t)
  writeFileSync(join(place.source, 'file'), 'x'.repeat(SIZE))
  const managed = await Managed.serving(place, {
    daemon: ['bindfs', '-f', place.source, place.mount],
    options: [...unlimited, '--revive', 'graft', '--hold-timeout', '10s'],
  })
  const application = new Child([compiledVictim(place, 'overmap'), join(place.mount, 'file')])
  t.teardown(() => application.kill())
  await application.says(/written/)
  // None of its threads may take the data: the kernel fails a request whose reader is killed while it copies (EIO).
  await managed.pause()
  application.process.stdin?.end('\n')
  const state = () => readFileSync(`/proc/${application.pid}/stat`, 'utf8')
  await until(() => /\) D /.test(state()), 'an application that waits')
  await managed.crash()
  await application.says(/unmapped/)
  t.match(await application.end(), { code: 0 })
  t.equal(readFileSync(join(place.source, 'file'), 'utf8'), 'y'.repeat(SIZE), 'what it wrote is there')
  t.equal((await managed.stop()).code, 0)
  await nothingLeft(t, place)
})
