// What the kernel may show of a file with several names from its cache: what was true a moment ago, and of no other file.
import t from 'tap'
import { Aliases } from '../../src/oracle/aliases.js'
import type { Facts } from '../../src/oracle/answer.js'
import { judge } from '../../src/oracle/judge.js'
import { Model } from '../../src/oracle/model/model.js'
import type { Operation } from '../../src/oracle/operations.js'

const open = (path: string): Operation => {
  const flags = { append: false, create: true, exclusive: false, truncate: false, mode: 0o644 }
  return { kind: 'open', file: 0, path, access: 'both', ...flags }
}
const link: Operation = { kind: 'link', from: 'a', to: 'b' }
const chmod: Operation = { kind: 'chmod', path: 'a', mode: 0o700 }
const truncate: Operation = { kind: 'truncate', path: 'a', size: 9 }

/** What is done, a second each; what is found then by `stat a`; whether that is as right as what is true. */
const rows: Record<string, [Operation[], Partial<Facts>, boolean]> = {
  'what was a moment ago': [[open('a'), link, chmod], { mode: 0o644, links: 2 }, true],
  'also before it had another name': [[open('a'), link], { links: 1 }, true],
  'also with a name less, as the kernel counts itself': [[open('a'), link, chmod], { mode: 0o644, links: 1 }, true],
  'not what never was': [[open('a'), link, chmod], { mode: 0o600 }, false],
  'nor what was too long ago': [[open('a'), link, chmod, truncate, { ...truncate, size: 8 }], { mode: 0o644 }, false],
  'nor of a file with one name': [[open('a'), chmod], { mode: 0o644 }, false],
}

for (const [what, [operations, found, isRight]] of Object.entries(rows))
  t.test(what, async (t) => {
    const model = new Model()
    const aliases = new Aliases(model, 1500)
    let now = 0
    for (const operation of operations) {
      aliases.take(now)
      model.apply(operation)
      now += 1000
    }
    const stat: Operation = { kind: 'stat', path: 'a' }
    const expected = model.apply(stat)
    if (expected === 'impossible' || !('facts' in expected)) throw new Error('no facts')
    aliases.take(now - 1000)
    const value = { ...expected.facts, ...found }
    t.ok(judge({ value }, expected), 'it is not what is true')
    t.equal(judge({ value }, aliases.allowing(stat, expected, value, now)) === undefined, isRight)
    const [entry] = model.snapshot()
    if (!entry) throw new Error('no entry')
    const { file: _, older: __, facts, ...rest } = entry
    const whole = { value: [{ ...rest, facts: { ...facts, ...found } }] }
    const entries = { entries: [entry] }
    const allowed = aliases.allowing({ kind: 'snapshot', folder: '' }, entries, whole.value, now)
    if (model.snapshot().length === 1) t.equal(judge(whole, allowed) === undefined, isRight, 'also in a snapshot')
  })
