// How an error ends: its text and its remedy on stderr, as JSON on stdout where JSON was asked for, and an exit code.
import { writeSync } from 'node:fs'
import { KeepmountError } from '../errors/error.js'
import { failedWith } from '../native/error.js'
import { paint } from './output/paint.js'
import { printJson } from './output/print.js'

/**
 * @param argv the command's arguments
 * @returns the exit code
 */
export async function reportError(error: unknown, argv: readonly string[]): Promise<number> {
  const known = error instanceof KeepmountError ? error : null
  const message = known ? known.message : `unexpected error: ${error instanceof Error ? error.message : String(error)}`
  const remedy = known ? known.remedy : 'run it again with KEEPMOUNT_DEBUG=1 for the details, and report them'
  const style = paint(process.stderr.isTTY, process.env)
  let text = `${style.red('keepmount:')} ${message}\n  ${style.dim('→')} ${remedy}\n`
  if (process.env.KEEPMOUNT_DEBUG) text += `${details(error)}\n`
  complain(text)
  if (wantsJson(argv)) await printJson({ error: { code: known?.code ?? 'UNEXPECTED', message, remedy } })
  return known?.exitCode ?? 125
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json')
}

/** The stack, and those of what caused it. */
function details(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return [
    error.stack ?? error.message,
    ...(error.cause === undefined ? [] : [`caused by ${details(error.cause)}`]),
  ].join('\n')
}

function complain(text: string): void {
  try {
    writeSync(2, text)
  } catch (error) {
    // Nobody reads it: the exit code still tells.
    if (!failedWith(error, 'EPIPE', 'EAGAIN', 'EBADF', 'EIO')) throw error
  }
}
