// A nodeid of an earlier life that was given once more in this one, and of which the kernel forgets more than that: it has
// dropped what it had, and may have taken what it was given afterwards.
import t, { type Test } from 'tap'
import { PlayedProber } from '../played-prober.js'
import { Scene, words } from '../scene.js'

const STALE = 3n
const DAEMONS = 8n

function begin(t: Test): { scene: Scene; kernel: PlayedProber } {
  const scene = new Scene(t)
  const kernel = new PlayedProber(t)
  scene.translator.gone.helpedBy(kernel.prober)
  scene.adopt(STALE, DAEMONS)
  t.equal(scene.found(6n, DAEMONS), STALE, 'it is given once more')
  scene.ask('FORGET', 0n, STALE, words(40n))
  t.match(scene.asked(), [{ node: DAEMONS, body: words(1n) }], 'what this life gave is forgotten, none of the 39')
  t.equal(scene.translator.gone.isDue, true)
  return { scene, kernel }
}

t.test('what the kernel does not hold any more is dropped', async (t) => {
  const { scene, kernel } = begin(t)
  scene.translator.gone.dropUnsure()
  t.same(kernel.probed(), [STALE])
  t.match(scene.asked(), [{ node: DAEMONS, body: words(1n) }], 'and the one that found it')
  t.equal(scene.translator.nodes.staleCount, 0)
  t.equal(scene.translator.gone.isDue, false)
})

t.test('what it holds stays what it is, until that is forgotten', async (t) => {
  const { scene, kernel } = begin(t)
  scene.translator.gone.dropUnsure()
  t.same(kernel.probed(STALE), [STALE])
  t.same(scene.asked(), [])
  t.equal(scene.found(8n, DAEMONS), STALE)
  scene.ask('FORGET', 0n, STALE, words(1n))
  t.match(scene.asked(), [{ node: DAEMONS, body: words(1n) }])
  scene.translator.gone.dropUnsure()
  t.same(kernel.probed(), [STALE], 'it is asked again')
  t.match(scene.asked(), [{ node: DAEMONS, body: words(1n) }])
  t.equal(scene.translator.nodes.staleCount, 0)
})

t.test('what is given meanwhile is not dropped', async (t) => {
  const { scene, kernel } = begin(t)
  scene.translator.gone.dropUnsure()
  t.equal(scene.found(8n, DAEMONS), STALE)
  t.same(kernel.probed(), [STALE])
  t.same(scene.asked(), [])
  t.equal(scene.translator.nodes.staleCount, 1)
})
