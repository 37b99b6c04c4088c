// `keepmount doctor [--json]`: exit code 0 if `keepmount run` can work here, 1 if not.
import { type Diagnosis, diagnose } from '../doctor/index.js'
import { type Paint, paint } from './output/paint.js'
import { print, printJson } from './output/print.js'
import { commandNamed, parse } from './parser.js'

export async function doctor(argv: readonly string[]): Promise<number> {
  const command = commandNamed('doctor').option('--json', 'print JSON')
  if (!(await parse(command, argv))) return 0
  const report = await diagnose()
  if (command.opts<{ json?: boolean }>().json) await printJson(report)
  else {
    const style = paint(process.stdout.isTTY, process.env)
    const bad = report.checks.filter(({ ok, needed }) => ok !== true && needed === 'run')
    const verdict = report.ok
      ? style.green('keepmount run can work here')
      : style.red(`keepmount run cannot work here: ${bad.map(({ id }) => id).join(', ')}`)
    await print(`${report.checks.map((check) => line(check, style)).join('')}\n${verdict}\n`)
  }
  return report.ok ? 0 : 1
}

const ID_WIDTH = 16

function line({ id, question, needed, ok, detail, meaning }: Diagnosis, style: Paint): string {
  const mark = ok
    ? style.green('✔')
    : ok === null
      ? style.dim('?')
      : needed === 'nice'
        ? style.yellow('–')
        : style.red('✖')
  const head = `${mark} ${style.bold(id.padEnd(ID_WIDTH))} ${question} ${style.dim(`(${detail})`)}\n`
  return ok ? head : `${head}${' '.repeat(ID_WIDTH + 3)}${style.dim('→')} ${meaning || 'not told'}\n`
}
