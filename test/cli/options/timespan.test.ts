import t from 'tap'
import { LONGEST_SPAN, parseTimespan } from '../../../src/cli/options/timespan.js'

const spans: [text: string, seconds: number][] = [
  ['0', 0],
  ['5', 5],
  ['1.5', 1.5],
  ['.5', 0.5],
  ['500ms', 0.5],
  ['500 ms', 0.5],
  ['250us', 0.00025],
  ['250µs', 0.00025],
  ['2min 20s', 140],
  ['2min20s', 140],
  ['1h 30min', 5400],
  ['1 hour', 3600],
  ['2d', 172_800],
  ['1week', 604_800],
  ['1min 30', 90],
  [' 7s ', 7],
]

for (const [text, seconds] of spans) {
  t.test(`‘${text}’ is ${seconds} s`, async (t) => t.equal(parseTimespan(text), seconds))
}

const noSpans = [
  '',
  ' ',
  's',
  'soon',
  '-1',
  '1x',
  '5 parsecs',
  '1e3',
  '0x10',
  '1,5',
  '5s!',
  'infinity',
  'constructor',
  '5 toString',
]
for (const text of noSpans) {
  t.test(`‘${text}’ is no time span`, async (t) => t.equal(parseTimespan(text), null))
}

t.test('a span that no timer can hold is refused', async (t) => {
  t.equal(parseTimespan(`${LONGEST_SPAN}s`), LONGEST_SPAN)
  t.equal(parseTimespan(`${LONGEST_SPAN + 1}s`), null)
  t.ok(LONGEST_SPAN * 1000 < 2 ** 31)
})
