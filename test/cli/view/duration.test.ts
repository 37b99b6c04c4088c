import t from 'tap'
import { duration } from '../../../src/cli/view/duration.js'

const rows: [ms: number, text: string][] = [
  [0, '0 µs'],
  [0.85, '850 µs'],
  [0.9996, '1.0 ms'],
  [12.345, '12.3 ms'],
  [99.96, '100 ms'],
  [850, '850 ms'],
  [999.6, '1.0 s'],
  [1234, '1.2 s'],
  [59_960, '1 min 0 s'],
  [125_000, '2 min 5 s'],
  [12_000_000, '3 h 20 min'],
  [200_000_000, '2 days'],
]
for (const [ms, text] of rows) t.test(`${ms} ms is ${text}`, async (t) => t.equal(duration(ms), text))
