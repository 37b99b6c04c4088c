// Runs all tests, or those named, and counts them from tap's own output: a test is a named block that holds no further ones;
// a file that breaks outside of its tests counts as one that failed. One file at a time: they mount. They are compiled
// already, and tap's own runner would load a compiler for each.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
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

const total: Count = { passed: 0, failed: 0, skipped: 0 }
const named = process.argv.slice(2)
const started = performance.now()
for (const file of named.length > 0 ? named : testFiles()) await run(file)
console.log(`${((performance.now() - started) / 1000).toFixed(0)} s`)
const { passed, failed, skipped } = total
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed === 0 ? 0 : 1)

/** Runs the compiled file in a process of its own, and tells what came of it. */
async function run(file: string): Promise<void> {
  const compiled = join(projectFolder, '.build', file.replace(/\.ts$/, '.js'))
  const began = performance.now()
  const child = spawn(process.execPath, ['--enable-source-maps', compiled], {
    cwd: projectFolder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TAP: '1', TAP_TIMEOUT: String(FILE_DEADLINE_SEC) },
  })
  // tap tells first which test did not end.
  const deadline = setTimeout(() => child.kill('SIGKILL'), (FILE_DEADLINE_SEC + 10) * 1000)
  const parser = new Parser()
  const own: Count = { passed: 0, failed: 0, skipped: 0 }
  follow(parser, [file], own)
  child.stdout.pipe(parser)
  const [[code, signal]] = (await Promise.all([once(child, 'close'), once(parser, 'complete')])) as [
    [number | null, NodeJS.Signals | null],
    unknown,
  ]
  clearTimeout(deadline)
  const isWhole = code === 0 && parser.ok
  if (!isWhole && own.failed === 0) {
    console.log(`  FAILED: ${file} ended with ${signal ?? code} and without naming a test that failed`)
    own.failed++
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  const parts = [
    `${own.passed} passed`,
    own.failed > 0 && `${own.failed} failed`,
    own.skipped > 0 && `${own.skipped} skipped`,
  ]
  console.log(`${isWhole ? 'ok    ' : 'FAILED'} ${file}: ${parts.filter(Boolean).join(', ')} (${seconds} s)`)
  total.passed += own.passed
  total.failed += own.failed
  total.skipped += own.skipped
}

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
  })
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
