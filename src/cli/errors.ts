// `keepmount errors`: the page of errors.
import { type ErrorEntry, errorCodes, errorEntry } from '../errors/page.js'
import { paint } from './output/paint.js'
import { print, printJson } from './output/print.js'
import { commandNamed, parse, usageError } from './parser.js'

export async function errors(argv: readonly string[]): Promise<number> {
  const command = commandNamed('errors').argument('[code]', 'only this one').option('--json', 'print JSON')
  if (!(await parse(command, argv))) return 0
  const wanted = command.args[0]?.toUpperCase()
  const codes = errorCodes.filter((code) => wanted === undefined || code === wanted)
  if (codes.length === 0) throw usageError('keepmount errors', `there is no error ${wanted}`)
  const entries = codes.map(errorEntry)
  if (command.opts<{ json?: boolean }>().json) await printJson({ errors: entries })
  else await print(entries.map(pageEntry).join('\n'))
  return 0
}

function pageEntry({ code, exit_code, example, remedy }: ErrorEntry): string {
  const style = paint(process.stdout.isTTY, process.env)
  return `${style.bold(code)}  ${style.dim(`exit code ${exit_code ?? 'of the daemon'}`)}\n  ${example}\n  ${style.dim('→')} ${remedy}\n`
}
