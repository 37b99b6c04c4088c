// scripts/bench: one quick run, whose report must be complete and make sense. How fast the machine is, is not judged here.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { BenchReport } from '../bench/bench.js'
import { efforts } from '../bench/options.js'
import { runToEnd } from '../fixtures/child.js'
import { builtProgram } from '../fixtures/project.js'
import { skip } from '../hold/scene.js'

const bench = (...argv: string[]) =>
  runToEnd([process.execPath, builtProgram('scripts/bench'), ...argv], { env: environment }, 120_000)
const { NODE_OPTIONS, ...environment } = process.env

t.test('scripts/bench', { skip: skip || withoutFio() }, async (t) => {
  const file = join(t.testdir(), 'report.json')
  const { code, stdout, stderr } = await bench('--quick', '--json', file)
  t.equal(code, 0, stderr)
  const report = JSON.parse(readFileSync(file, 'utf8')) as BenchReport
  const { quick } = efforts

  t.test('shows a table and its progress apart', async (t) => {
    for (const text of ['mirrorfs', 'bindfs', 'keepmount, inherit', 'a respawn loop', 'supervisor, fresh'])
      t.match(stdout, text)
    t.match(stderr, `deaths: ${quick.deaths} of ${quick.deaths}`)
    t.notMatch(stdout, 'NaN')
  })

  t.test('counts operations with and without keepmount', async (t) => {
    const { operations } = report
    t.equal(operations?.length, 9)
    t.equal(operations?.filter(({ healed }) => healed).length, 3)
    for (const { daemon, load, pairs, ratio } of operations ?? []) {
      t.equal(pairs.length, quick.pairs)
      t.ok(
        pairs.every((pair) => pair.with > 1 && pair.without > 1),
        `${daemon} did its work: ${load}`,
      )
      t.ok(ratio > 0, `${daemon}, ${load}: ratio ${ratio}`)
    }
  })

  t.test('times deaths, and sees what an application sees of them', async (t) => {
    const of = Object.fromEntries((report.deaths ?? []).map((each) => [each.kind, each]))
    for (const [kind, { samples }] of Object.entries(of)) {
      t.equal(samples.length, quick.deaths, kind)
      t.ok(
        samples.every(({ ms }) => ms > 1),
        `${kind}: a daemon needs more than 1 ms to start`,
      )
    }
    t.match(of, { 'cold start': { over_cold_start_ms: 0 }, inherit: { failed: 0, beneath: 0 } })
    for (const kind of ['inherit', 'bindfs, graft', 'passthrough_ll, graft', 'sshfs, graft']) {
      if (!of[kind]) continue
      t.equal(of[kind].open_files_kept, quick.deaths, `${kind} keeps open files`)
      t.equal(of[kind].failed + of[kind].beneath, 0, `${kind} lets no operation fail`)
    }
    for (const kind of ['remount', 'respawn']) {
      t.equal(of[kind]?.open_files_kept, 0, `${kind} loses open files`)
      t.ok(
        of[kind]?.samples.every(({ failed, beneath }) => failed + beneath > 0),
        `${kind} lets operations fail`,
      )
    }
  })

  t.test('sees what a stock daemon costs behind the relay', async (t) => {
    for (const { daemon, load, pairs, ratio, unit } of report.relay ?? []) {
      t.equal(pairs.length, quick.relay_pairs)
      t.ok(ratio > 0 && ratio < 50, `${daemon}, ${load}, ${unit}: ratio ${ratio}`)
    }
    t.ok((report.relay?.length ?? 0) >= 9, 'bindfs is measured')
  })

  t.test('weighs holders and the supervisor', async (t) => {
    const { holders = [], supervisor } = report.memory ?? {}
    t.same(
      holders.map(({ channels }) => channels),
      quick.channels,
    )
    for (const { channels, rss_kb, pss_kb } of holders) {
      t.equal(pss_kb.length, 2, 'two holders')
      t.ok(Math.max(...rss_kb) <= 16, `${channels} channels: ${rss_kb} kB`)
    }
    t.ok((supervisor?.rss_kb ?? 0) > 1024 && (supervisor?.rss_kb_after ?? 0) > 1024)
  })

  t.test('names the machine and the time', async (t) => {
    t.match(report, { date: /^\d{4}-\d\d-\d\dT/, machine: { kernel: /^\d+\.\d+/, node: process.version } })
    t.ok(report.machine.cpus >= 1)
  })
})

t.test('scripts/bench refuses a part that it has not', async (t) => {
  const { code, stderr } = await bench('--only', 'a,z')
  t.equal(code, 2)
  t.match(stderr, /no such part: z/)
})

function withoutFio(): string | false {
  const programs = ['fio', 'bindfs']
  const missing = programs.filter(
    (name) => !(process.env.PATH ?? '').split(':').some((folder) => isThere(join(folder, name))),
  )
  return missing.length > 0 && `needs ${missing.join(' and ')}`
}

function isThere(path: string): boolean {
  try {
    readFileSync(path)
    return true
  } catch {
    return false
  }
}
