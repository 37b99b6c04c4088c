// The oracle from the command line, for long runs: on a folder, or on a mount of a daemon under `keepmount run` with kills.
//   node .build/test/oracle/run.js [--seed N] [--operations N] [--processes N] [--only P:FROM-TO] [--trace]
//     (--folder DIR | [--kills N] [--revive HOW] [--daemon NAME | -- DAEMON {src} {mnt}])
// NAME is a row of test/fixtures/stock-daemons.ts.
import { parseArgs } from 'node:util'
import { oracle, verdictTable } from '../../src/oracle/index.js'
import { Place } from '../fixtures/place.js'
import { daemonNamed, oracleRow } from '../fixtures/stock-daemons.js'
import { type UnderKills, underKills } from './under-kills.js'

const separator = process.argv.indexOf('--')
const { values } = parseArgs({
  args: process.argv.slice(2, separator < 0 ? undefined : separator),
  options: {
    seed: { type: 'string' },
    operations: { type: 'string' },
    processes: { type: 'string', default: '3' },
    kills: { type: 'string', default: '0' },
    folder: { type: 'string' },
    daemon: { type: 'string' },
    /** By graft, if a stock daemon is named. */
    revive: { type: 'string' },
    json: { type: 'boolean' },
    trace: { type: 'boolean' },
    /** `process:from-to`, as in the verdict. */
    only: { type: 'string' },
  },
})
const daemon = daemonNamed(values.daemon, separator < 0 ? [] : process.argv.slice(separator + 1))
if (daemon?.unwritten !== undefined && Number(values.kills) > 0)
  throw new TypeError(`${values.daemon} can't be judged under kills: ${daemon.unwritten}`)
const seed = Number(values.seed ?? Date.now() % 1_000_000)
const [process_, from, to] = (values.only ?? '').split(/[:-]/).map(Number)
const options: Omit<UnderKills, 'kills'> = {
  seed,
  processes: Number(values.processes),
  ...(values.operations !== undefined && { operations: Number(values.operations) }),
  ...(values.trace && {
    onOperation: (who: number, step: number, text: string) => console.log(`${who}:${step} ${text}`),
    onCrash: (text: string) => console.log(text),
  }),
  ...(values.only !== undefined && {
    only: { process: Number(process_), steps: [[Number(from), Number(to ?? from)]] as const },
  }),
}
console.log(`seed ${seed}`)
if (values.folder !== undefined) {
  const verdict = await oracle({ ...options, folder: values.folder })
  console.log(values.json ? JSON.stringify(verdict, null, 2) : verdictTable(verdict))
  process.exitCode = verdict.clean ? 0 : 1
} else {
  const place = new Place()
  try {
    const { baseline, verdict, pauses, problems, managed } = await underKills(place, {
      ...options,
      kills: Number(values.kills),
      run: ['--revive', values.revive ?? (values.daemon === undefined ? 'inherit' : 'graft')],
      ...(daemon && { daemon: daemon.command(place), ...oracleRow(daemon) }),
    })
    console.log(`without kills:\n${verdictTable(baseline)}\n`)
    if (verdict) console.log(`with ${pauses.length} kills:\n${verdictTable(verdict)}`)
    const sorted = pauses.toSorted((a, b) => a - b)
    console.log(`downtime median ${sorted[sorted.length >> 1]} ms, longest ${sorted.at(-1)} ms`)
    for (const event of managed.log.events)
      if (event.event === 'noted')
        console.log(`noted in life ${event.life}: ${event.what} ${JSON.stringify(event.facts)}`)
    for (const problem of problems) console.log(`PROBLEM: ${problem}`)
    process.exitCode = (verdict ?? baseline).clean && problems.length === 0 ? 0 : 1
  } finally {
    await place.clean()
  }
}
process.exit()
