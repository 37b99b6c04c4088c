// scripts/bench: the figures from the command line.
import { writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { parseArgs } from 'node:util'
import { paint } from '../src/cli/output/paint.js'
import { bench } from '../test/bench/bench.js'
import { efforts, type Part, parts } from '../test/bench/options.js'
import { closeAllPlaces } from '../test/bench/places.js'
import { table } from '../test/bench/table.js'

const list = Object.entries(parts).map(([part, text]) => `  ${part}  ${text}`)
const usage = `usage: scripts/bench [--quick] [--only a,b,c,d,e] [--json FILE]

Measures what keepmount costs and how long its pauses are, each beside what it is measured against.
${list.join('\n')}
--quick takes few samples and less than a minute; --json writes all samples and facts of the machine.`

// A test runner's loader would be measured too.
delete process.env.NODE_OPTIONS

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: Object.keys(parts).join() },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (values.help) {
  console.log(usage)
  process.exit()
}
const wanted = values.only.split(',')
const unknown = wanted.filter((part) => !Object.hasOwn(parts, part))
if (unknown.length > 0) {
  console.error(`scripts/bench: no such part: ${unknown.join(', ')}\n\n${usage}`)
  process.exit(2)
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, async () => {
    await closeAllPlaces().catch(() => undefined)
    process.exit(128 + constants.signals[name])
  })

const live = process.stderr.isTTY
const report = await bench({
  parts: wanted as Part[],
  effort: values.quick ? efforts.quick : efforts.full,
  progress: (text) => process.stderr.write(live ? `\r\u001b[K${text}` : `${text}\n`),
})
if (live) process.stderr.write('\r\u001b[K')
console.log(table(report, paint(process.stdout.isTTY, process.env)))
if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
process.exit()
