// `keepmount status`: the managed mounts, from their records and procfs. It touches no mount.
import { KeepmountError } from '../errors/error.js'
import { type KnownMount, knownMounts } from '../state/folder.js'
import { paint } from './output/paint.js'
import { print, printJson } from './output/print.js'
import { commandNamed, parse } from './parser.js'
import { mountStatus } from './status/mount-status.js'
import { statusTable } from './status/table.js'
import { targetOf } from './target.js'

export async function status(argv: readonly string[]): Promise<number> {
  const command = commandNamed('status')
    .argument('[target]', 'the name or the mountpoint of one mount')
    .option('--json', 'print JSON')
  if (!(await parse(command, argv))) return 0
  const [given] = command.args
  const chosen = given === undefined ? knownMounts() : only(given)
  // A folder without a record is that of a run that has only begun.
  const mounts = chosen
    .filter(({ record }) => record !== null)
    .map(mountStatus)
    .filter((each) => each !== null)
  const problems = chosen.flatMap(({ name, problem }) =>
    problem === null ? [] : [{ name, problem: problemOf(problem) }],
  )
  if (command.opts<{ json?: boolean }>().json) {
    await printJson(problems.length === 0 ? { mounts } : { mounts, problems })
  } else if (mounts.length > 0 || problems.length === 0) {
    await print(statusTable(mounts, paint(process.stdout.isTTY, process.env), process.stdout.columns))
  }
  for (const { problem } of problems) process.stderr.write(`keepmount: ${problem.message}\n  → ${problem.remedy}\n`)
  return problems.length === 0 ? 0 : 125
}

/** @throws KeepmountError NOT_MANAGED */
function only(given: string): KnownMount[] {
  const target = targetOf(given)
  const found = knownMounts().filter(
    ({ name, record, problem }) =>
      (name === target || record?.mount?.mountpoint === target) && (record ?? problem) !== null,
  )
  if (found.length === 0) throw new KeepmountError('NOT_MANAGED', { target: given })
  return found
}

const problemOf = ({ code, message, remedy }: KeepmountError) => ({ code, message, remedy })
