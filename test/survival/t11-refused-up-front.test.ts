// T11: what cannot work is refused before anything is started, with the reason and what to do. (Every other reason is a
// row of test/cli/bad-input.test.ts; here is each way of saying auto_unmount, and what only looks like it.)
import t from 'tap'
import { keepmount } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'

const refused: readonly string[][] = [
  ['-o', 'auto_unmount'],
  ['-oauto_unmount'],
  ['-o', 'allow_other,auto_unmount'],
  ['-o', 'auto_unmount,allow_other'],
  ['-fo', 'auto_unmount'],
]

for (const options of refused) {
  t.test(`bindfs ${options.join(' ')} is refused before it is started`, async (t) => {
    const place = placeFor(t)
    const { code, stderr } = await keepmount(place, 'run', '--', 'bindfs', '-f', ...options, place.source, place.mount)
    t.equal(code, 125)
    t.match(stderr, /auto_unmount/)
    t.match(stderr, /→/, 'it says what to do')
    t.same(await place.left(), [])
  })
}

const harmless: readonly [what: string, argv: (place: Place) => string[]][] = [
  ['a folder of that name', (place) => [place.path('auto_unmount')]],
  ['noauto_unmount', ({ source }) => ['-o', 'noauto_unmount', source]],
]

for (const [what, argv] of harmless) {
  t.test(`${what} is not refused`, async (t) => {
    const place = placeFor(t)
    const { stderr } = await keepmount(place, 'run', '--', 'false', ...argv(place), place.mount)
    t.match(stderr, /before it had mounted anything/, 'it was started')
  })
}
