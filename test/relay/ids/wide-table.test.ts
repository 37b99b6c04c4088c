// The hash table of 64-bit numbers against a Map, through a long seeded mix of changes.
import t from 'tap'
import { WideTable } from '../../../src/relay/ids/wide-table.js'

t.test('it holds what a Map holds', async (t) => {
  const table = new WideTable()
  const model = new Map<string, number>()
  let state = 1
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  const wrong: string[] = []
  for (let step = 0; step < 50_000; step++) {
    // Few different halves, so that numbers meet and collide.
    const [low, high] = [random(40) * 64, random(20) * 0x0c00_0000]
    const key = `${high}:${low}`
    if (random(3) === 0) {
      const was = table.delete(low, high)
      if (was !== (model.get(key) ?? -1)) wrong.push(`step ${step}: deleted ${was}`)
      model.delete(key)
    } else {
      table.set(low, high, step)
      model.set(key, step)
    }
    const [otherLow, otherHigh] = [random(40) * 64, random(20) * 0x0c00_0000]
    const found = table.get(otherLow, otherHigh)
    if (found !== (model.get(`${otherHigh}:${otherLow}`) ?? -1)) wrong.push(`step ${step}: found ${found}`)
  }
  t.same(wrong, [])
  t.equal(table.size, model.size)
})
