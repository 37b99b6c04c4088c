// Runs all tests with tap, or those named, and counts them from tap's own output: a test is a named block that holds no
// further ones; a file that breaks outside of its tests counts as one that failed. One file at a time: they mount.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Parser, type Result } from 'tap-parser'
import { projectFolder } from '../test/fixtures/project.js'

const FILE_DEADLINE_SEC = 180

interface Count {
  passed: number
  failed: number
  skipped: number
}

const named = process.argv.slice(2)
const files = named.length > 0 ? named : testFiles()
const total: Count = { passed: 0, failed: 0, skipped: 0 }
const started = performance.now()

const tap = spawn(
  join(projectFolder, 'node_modules/.bin/tap'),
  ['--jobs=1', '--disable-coverage', '--reporter=tap', `--timeout=${FILE_DEADLINE_SEC}`, ...files],
  { cwd: projectFolder, stdio: ['ignore', 'pipe', 'inherit'] },
)
const parser = new Parser()
let filesDone = 0
follow(parser, [], total)
tap.stdout.pipe(parser)
tap.once('error', (error) => {
  console.error(`tap cannot be run: ${error.message}`)
  process.exit(1)
})
tap.once('close', (code, signal) => {
  const { passed, failed, skipped } = total
  const seconds = ((performance.now() - started) / 1000).toFixed(0)
  console.log(`${filesDone} of ${files.length} files in ${seconds} s`)
  const complete = code === 0 && filesDone === files.length
  if (!complete && failed === 0) console.log(`tap ended with ${signal ?? code} and without naming a test that failed`)
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  process.exit(complete && failed === 0 ? 0 : 1)
})

/** Counts what a parser meets into `count`; `path` names the blocks around it. */
function follow(parser: Parser, path: readonly string[], count: Count): void {
  let inner: { parser: Parser; count: Count } | undefined
  parser.on('child', (child: Parser) => {
    inner = { parser: child, count: { passed: 0, failed: 0, skipped: 0 } }
    follow(child, [...path, child.name], inner.count)
  })
  parser.on('assert', (result: Result) => {
    const block = inner
    inner = undefined
    const tests = block ? block.count.passed + block.count.failed + block.count.skipped : 0
    const own: Count = tests > 0 && block ? block.count : { passed: 0, failed: 0, skipped: 0 }
    const isSkipped = Boolean(result.skip || result.todo)
    if (!result.ok && !isSkipped) report(path, result)
    // An assertion of a test is no test of its own, but its failure is told.
    if (path.length > 1 && !block && !isSkipped) return
    if (tests === 0) own[isSkipped ? 'skipped' : result.ok ? 'passed' : 'failed']++
    else if (!result.ok && own.failed === 0) own.failed++
    if (isSkipped && tests === 0) console.log(`  skipped: ${result.name}${reasonOf(result)}`)
    count.passed += own.passed
    count.failed += own.failed
    count.skipped += own.skipped
    if (path.length === 0) fileDone(result, own)
  })
}

function fileDone(result: Result, { passed, failed, skipped }: Count): void {
  filesDone++
  // Not our own clock: the parser tells of a result only when it has seen the line after it.
  const seconds = ((result.time ?? 0) / 1000).toFixed(1)
  const parts = [`${passed} passed`, failed > 0 && `${failed} failed`, skipped > 0 && `${skipped} skipped`]
  console.log(`${result.ok ? 'ok    ' : 'FAILED'} ${result.name}: ${parts.filter(Boolean).join(', ')} (${seconds} s)`)
}

function report(path: readonly string[], result: Result): void {
  console.log(`  FAILED: ${[...path, result.name].join(' › ')}`)
  if (result.diag && path.length > 1) console.log(JSON.stringify(result.diag, null, 2).replace(/^/gm, '    '))
}

function reasonOf({ skip, todo }: Result): string {
  const reason = skip || todo
  return typeof reason === 'string' && reason ? `: ${reason}` : ''
}

function testFiles(): string[] {
  return readdirSync(join(projectFolder, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join('test', file))
    .sort()
}
