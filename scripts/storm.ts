// scripts/storm: the kill storm from the command line.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { reviveModes } from '../src/supervise/options.js'
import { daemonNamed, stockNames } from '../test/fixtures/stock-daemons.js'
import { type StormReport, storm } from '../test/workload/storm.js'

const names = stockNames
  .join(', ')
  .replace(/(.{1,100})(, |$)/g, '  $1\n')
  .trimEnd()
const usage = `usage: scripts/storm [--kills N] [--minutes M] [--seed S] [--also holder,supervisor] [--revive MODE]
                     [--json FILE] [--daemon NAME | -- COMMAND…]

Kills a mount's daemon again and again under eight applications that check all they do.
COMMAND is what is killed, with {src} and {mnt} for the folder it shows and its mountpoint; NAME is one of
${names}.
Without either it is keepmount mirror. What a daemon does without kills as well is its own and not counted.
Exits 0 if no application saw anything and nothing was left behind.`

const separator = process.argv.indexOf('--')
const own = process.argv.slice(2, separator < 0 ? undefined : separator)
const command = separator < 0 ? [] : process.argv.slice(separator + 1)
const { values } = parseArgs({
  args: own,
  options: {
    kills: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    also: { type: 'string', default: '' },
    revive: { type: 'string' },
    json: { type: 'string' },
    daemon: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (values.help) {
  console.log(usage)
  process.exit()
}
const daemon = daemonNamed(values.daemon, command)
const also = values.also.split(',').filter((who) => who === 'holder' || who === 'supervisor')
const revive = reviveModes.find((mode) => mode === values.revive)
const report = await storm({
  kills: Number(values.kills ?? (values.minutes ? Number.POSITIVE_INFINITY : 100)),
  minutes: Number(values.minutes ?? Number.POSITIVE_INFINITY),
  seed: Number(values.seed ?? Date.now() % 1_000_000),
  also,
  ...(revive && { revive }),
  ...(daemon && { daemon }),
  progress: (text) => console.log(`  ${text}`),
})
show(report)
if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
process.exit(report.problems.length > 0 ? 1 : 0)

function show({
  seed,
  seconds,
  kills,
  lives,
  pause_ms,
  applications,
  own,
  halfDone,
  supervisor_rss_kb,
  problems,
}: StormReport): void {
  console.log('')
  for (const { name, operations, errors, wrong, longest_ms, notes } of applications) {
    console.log(
      `${name.padEnd(11)} ${String(operations).padStart(8)} steps  ${errors} errors  ${wrong} wrong  longest ${longest_ms} ms`,
    )
    for (const note of notes) console.log(`    ${note}`)
  }
  console.log(`
kills       ${kills.daemon} daemon, ${kills.holder} holder, ${kills.supervisor} supervisor in ${seconds} s (seed ${seed}); life ${lives}
pause       median ${pause_ms.median} ms, p99 ${pause_ms.p99} ms, longest ${pause_ms.max} ms
supervisor  ${(supervisor_rss_kb.start / 1024).toFixed(1)} MB at the start, ${(supervisor_rss_kb.end / 1024).toFixed(1)} MB at the end
`)
  for (const kind of own) console.log(`without kills as well: ${kind}`)
  for (const text of halfDone) console.log(`left half done by the daemon: ${text}`)
  for (const problem of problems) console.log(`PROBLEM: ${problem}`)
  console.log(problems.length === 0 ? 'weathered: nobody noticed, nothing was left behind' : 'lost')
}
