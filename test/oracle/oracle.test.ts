// The oracle on honest folders, and on those of a performer that lies.
import { readdirSync } from 'node:fs'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findingText, oracle, UnusableFolder } from '../../src/oracle/index.js'
import type { Sort } from '../../src/oracle/judge.js'
import { builtProgram } from '../fixtures/project.js'
import type { faults } from './liar.js'

t.setTimeout(120_000)

const performer = [builtProgram('src/oracle/perform/main')]
const liar = builtProgram('test/oracle/liar')
const TMPFS = 0x0102_1994

async function newFolder(t: Test, parent = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(parent, 'keepmount-oracle-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

t.test('a plain folder is clean, and so it is left', async (t) => {
  for (const parent of [tmpdir(), '/dev/shm'])
    await t.test(parent, {}, async (t) => {
      if (parent !== tmpdir() && (await statfs(parent).catch(() => undefined))?.type !== TMPFS) {
        t.comment('no tmpfs here')
        return
      }
      const folder = await newFolder(t, parent)
      const verdict = await oracle({ folder, seed: 11, operations: 400, performer })
      t.same(verdict.findings.map(findingText), [], 'clean')
      t.ok(verdict.operations > 1000, 'enough was done')
      t.same(readdirSync(folder), [])
    })
})

t.test('the same seed gives the same operations and verdict, another seed others', async (t) => {
  const folder = await newFolder(t)
  const run = async (seed: number) => {
    const { clean, operations, fingerprint } = await oracle({ folder, seed, operations: 150, left: [], performer })
    return { clean, operations, fingerprint }
  }
  const first = await run(21)
  t.same(await run(21), first)
  t.not((await run(22)).fingerprint, first.fingerprint)
})

/** Each row: what the performer does, and as what it is found. */
const found: Record<keyof typeof faults, Sort> = {
  'loses a write': 'lost',
  'writes twice': 'doubled',
  'reads a wrong byte': 'bytes',
  'reads less': 'lost',
  'fails to rename': 'error',
  'makes a folder twice': 'error',
  'loses a folder': 'error',
  'loses a removal': 'lost',
  'loses a truncation': 'lost',
  'forgets a mode': 'lost',
  'hides a name': 'lost',
  'shows a name again': 'doubled',
  'loses what was mapped': 'lost',
  'grants a lock to two': 'lost',
  'gives a number twice': 'lost',
  'has two winners': 'doubled',
  'logs a line twice': 'doubled',
  'does not answer': 'hang',
  'dies of SIGBUS': 'died',
}

const ofSeveral = ['gives a number twice', 'has two winners']

t.test('what a file system does wrong is found', { jobs: 2 }, async (t) => {
  const folder = await newFolder(t)
  for (const [fault, sort] of Object.entries(found))
    t.test(`${fault}: ${sort}`, { buffered: true }, async (t) => {
      const processes = ofSeveral.includes(fault) ? 2 : 1
      const options = { folder, seed: 33, operations: 2400, left: [], processes, deadline: 5000, untilFound: true }
      const verdict = await oracle({ ...options, performer: [liar, fault] })
      t.equal(verdict.clean, false)
      t.ok(verdict.sorts[sort] > 0, sort, { found: verdict.findings.map(findingText) })
    })
})

t.test('a run that failed can be cut to the steps that matter', async (t) => {
  const folder = await newFolder(t)
  const options = { folder, seed: 41, operations: 300, left: [], performer: [liar, 'reads a wrong byte'] }
  const whole = await oracle({ ...options, processes: 1 })
  const [finding] = whole.findings
  t.equal(finding?.sort, 'bytes')
  const step = finding?.step ?? 0
  const cut = await oracle({ ...options, only: { process: 0, steps: [[0, step]] } })
  t.match(cut.findings, [{ step, operation: finding?.operation, expected: finding?.expected }])
  // What would be done to files that are missing now has other answers, which the model knows too.
  const few = await oracle({ ...options, performer, only: { process: 0, steps: [[step >> 1, step]] } })
  t.same(few.findings.map(findingText), [], 'clean')
  t.ok(few.operations < whole.operations)
})

t.test('a folder that cannot be worked in is refused with the reason', async (t) => {
  await t.rejects(oracle({ folder: '/proc/self', performer }), UnusableFolder)
})
