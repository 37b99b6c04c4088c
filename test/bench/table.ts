// The report as a table for people. Every figure that has a goal is beside it.
import type { Paint } from '../../src/cli/output/paint.js'
import type { BenchReport } from './bench.js'
import { type DeathsResult, kindOf } from './deaths.js'
import type { MemoryResult } from './memory.js'
import { labelOf, type OperationsResult } from './operations.js'
import type { RelayResult } from './relay.js'

/** Milliseconds that a revival may take longer than the daemon's own start. */
export const MOST_OVER_COLD_START_MS = 5
/** With fewer the interval around a median says nothing. */
const LEAST_PAIRS = 8
/** Behind the relay, as time with it over time without it. */
export const MOST_RELAY = { operations: 2, bytes: 1 / 0.7 }
export const MOST_HOLDER_KB = 16
export const MOST_SUPERVISOR_KB = 80 * 1024

export function table(report: BenchReport, paint: Paint): string {
  const { machine, operations, deaths, memory, relay, date, seconds } = report
  const judged = (good: boolean, text: string): string => (good ? paint.green(text) : paint.red(text))
  const sections = [
    [
      `${paint.bold('keepmount bench')}  ${date}, ${seconds} s`,
      `Linux ${machine.kernel} ${machine.arch}, Node ${machine.node}, ${machine.cpus} × ${machine.cpu}, load ${machine.load}`,
    ],
    operations && [paint.bold('a  operations: time with keepmount over time without'), ...operationRows(operations)],
    deaths && [
      paint.bold('b c  mirrorfs killed: ms until the application’s next operation is done'),
      ...deathRows(deaths),
    ],
    memory && [paint.bold('d  memory'), ...memoryRows(memory)],
    relay && [paint.bold('e  stock daemons behind the relay: time with it over time without'), ...relayRows(relay)],
  ]
  return sections
    .filter((lines) => lines !== null)
    .map((lines) => lines.join('\n'))
    .join('\n\n')

  function operationRows(results: readonly OperationsResult[]): string[] {
    return aligned([
      ['daemon', 'load', 'without/s', 'with/s', 'ratio', '95 %', 'limit 1.00'],
      ...results.map((each) => [
        labelOf(each),
        each.load,
        each.without.toFixed(0),
        each.with.toFixed(0),
        each.ratio.toFixed(3),
        `${each.ratio_low.toFixed(3)}–${each.ratio_high.toFixed(3)}`,
        verdict(each),
      ]),
    ])
  }

  function verdict({ pairs, ratio_low, ratio_high }: OperationsResult): string {
    if (pairs.length < LEAST_PAIRS) return paint.dim('too few pairs')
    if (ratio_high < 1) return judged(true, 'below')
    return ratio_low <= 1 ? judged(true, 'within noise') : judged(false, 'above')
  }

  function relayRows(results: readonly RelayResult[]): string[] {
    return aligned([
      ['daemon', 'load', 'without', 'with', '', 'ratio', '95 %', 'throughput', 'goal'],
      ...results.map(({ daemon, load, unit, ...each }) => [
        daemon,
        load,
        (each.without / scale[unit]).toFixed(0),
        (each.with / scale[unit]).toFixed(0),
        unit === 'bytes' ? 'MB/s' : '/s',
        each.ratio.toFixed(2),
        `${each.ratio_low.toFixed(2)}–${each.ratio_high.toFixed(2)}`,
        (1 / each.ratio).toFixed(2),
        judged(each.ratio <= MOST_RELAY[unit], unit === 'bytes' ? '≥ 0.7' : '≤ 2'),
      ]),
    ])
  }

  function deathRows(results: readonly DeathsResult[]): string[] {
    return aligned([
      [
        'brought back by',
        'n',
        'fastest',
        'median',
        'p99',
        'over cold start',
        'goal',
        'failed',
        'saw beneath',
        'open files kept',
      ],
      ...results.map(
        ({ kind, samples, least_ms, median_ms, p99_ms, over_cold_start_ms, failed, beneath, open_files_kept }) => [
          nameOf(kind),
          String(samples.length),
          least_ms.toFixed(1),
          median_ms.toFixed(1),
          p99_ms.toFixed(1),
          ...overColdStart(kind, over_cold_start_ms),
          ...(kindOf(kind).by === null
            ? ['', '', '']
            : [String(failed), String(beneath), `${open_files_kept} of ${samples.length}`]),
        ],
      ),
    ])
  }

  function overColdStart(kind: DeathsResult['kind'], ms: number | null): [string, string] {
    const { by } = kindOf(kind)
    if (ms === null || by === null) return ['', '']
    const goal = `≤ ${MOST_OVER_COLD_START_MS}`
    return [
      `${ms < 0 ? '−' : '+'}${Math.abs(ms).toFixed(1)}`,
      by === 'inherit' || by === 'graft' ? judged(ms <= MOST_OVER_COLD_START_MS, goal) : '',
    ]
  }

  function memoryRows({ holders, supervisor }: MemoryResult): string[] {
    const { rss_kb, rss_kb_after, pss_kb, pss_kb_after, crashes } = supervisor
    const megabytes = (kb: number): string => `${(kb / 1024).toFixed(1)} MB`
    return aligned([
      ['process', 'PSS', 'RSS', ''],
      ...holders.map(({ channels, pss_kb, rss_kb }) => [
        `holder of ${channels} ${channels === 1 ? 'channel' : 'channels'}`,
        `${Math.max(...pss_kb)} kB`,
        `${Math.max(...rss_kb)} kB`,
        judged(Math.max(...rss_kb) <= MOST_HOLDER_KB, 'limit 16 kB'),
      ]),
      ['supervisor, fresh', megabytes(pss_kb), megabytes(rss_kb), judged(rss_kb <= MOST_SUPERVISOR_KB, 'limit 80 MB')],
      [
        `supervisor, ${crashes} crashes later`,
        megabytes(pss_kb_after),
        megabytes(rss_kb_after),
        judged(rss_kb_after <= MOST_SUPERVISOR_KB, 'limit 80 MB'),
      ],
    ])
  }
}

const scale = { operations: 1, bytes: 1e6 } as const

function nameOf(kind: DeathsResult['kind']): string {
  const { daemon, by } = kindOf(kind)
  if (by === null) return `${daemon}: (its own cold start)`
  return `${daemon}: ${by === 'respawn loop' ? 'a respawn loop' : `keepmount, ${by}`}`
}

/** Columns of their widest cell; figures, and what is above them, to the right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const [, first = []] = rows
  const toRight = first.map((_, column) => rows.slice(1).every((row) => /^([−+\d].*)?$/.test(plain(row[column] ?? ''))))
  const widths = first.map((_, column) => Math.max(...rows.map((row) => plain(row[column] ?? '').length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => {
          const space = ' '.repeat((widths[column] ?? 0) - plain(cell).length)
          return toRight[column] ? space + cell : cell + space
        })
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `  ${line}`)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours are made of
const plain = (text: string): string => text.replace(/\u001b\[\d+m/g, '')
