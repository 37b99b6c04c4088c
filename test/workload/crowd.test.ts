// The workloads themselves, before they judge anything: without kills they find nothing, and they do notice what is wrong.
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { Child } from '../fixtures/child.js'
import { placeFor } from '../fixtures/place.js'
import { Crowd, crowdTable } from './crowd.js'

const expected = crowdTable.map(({ name }) => ({ name, errors: 0, wrong: 0 }))
const judged = (results: Awaited<ReturnType<Crowd['finish']>>) =>
  results.map(({ name, errors, wrong }) => ({ name, errors, wrong }))

t.test('on a plain folder all workloads run without an error', async (t) => {
  const place = placeFor(t)
  // Both names are the same folder: the mount is taken as it is.
  Object.assign(place, { source: place.mount })
  const crowd = new Crowd(place)
  await crowd.ready()
  const results = await crowd.finish()
  t.same(judged(results), expected, { results })
})

t.test('on a bare FUSE daemon all workloads run without an error', async (t) => {
  const place = placeFor(t)
  // Libfuse's paths give each link of a file an inode of its own, so the kernel must not remember the number of links.
  const argv = ['bindfs', '-f', '-o', 'attr_timeout=0', place.source, place.mount]
  const daemon = new Child(argv, { env: place.env })
  place.undo(() => daemon.kill())
  await place.mountedAt(place.mount)
  const crowd = new Crowd(place)
  await crowd.ready()
  const results = await crowd.finish()
  t.same(judged(results), expected, { results })
})

t.test('a lost, a doubled and a foreign line in the log are noticed', async (t) => {
  for (const [what, spoil] of [
    ['lost', (text: string) => text.replace(/^.*\n/, '')],
    ['doubled', (text: string) => text.replace(/^(.*\n)/, '$1$1')],
    ['foreign', (text: string) => text.replace('line', 'lime')],
  ] as const) {
    const place = placeFor(t)
    Object.assign(place, { source: place.mount })
    const crowd = new Crowd(place, ['append'])
    await crowd.ready()
    const log = place.path('mount/append.log')
    crowd.signal('SIGSTOP')
    writeFileSync(log, spoil(readFileSync(log, 'utf8')))
    crowd.signal('SIGCONT')
    const [result] = await crowd.finish()
    t.ok(result && result.wrong > 0, `${what}: ${JSON.stringify(result)}`)
  }
})
