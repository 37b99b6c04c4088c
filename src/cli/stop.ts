// `keepmount stop NAME|DIR`: returns when daemon, holders and mount are gone.

import { findMount } from '../state/folder.js'
import { stop as supervise } from '../supervise/index.js'
import { Outlet } from './output/outlet.js'
import { paint } from './output/paint.js'
import { commandNamed, parse } from './parser.js'
import { targetOf } from './target.js'
import { duration } from './view/duration.js'

export async function stop(argv: readonly string[]): Promise<number> {
  const command = commandNamed('stop')
    .argument('<target>', 'the name or the mountpoint')
    .option('-q, --quiet', 'show nothing on stderr but errors')
  if (!(await parse(command, argv))) return 0
  const target = targetOf(command.args[0] ?? '')
  const outlet = command.opts<{ quiet?: boolean }>().quiet ? null : Outlet.toStandard(2)
  const style = paint(process.stderr.isTTY, process.env)
  const start = performance.now()
  try {
    if (findMount(target)) outlet?.write(`stopping ${target} …\n`)
    await supervise(target)
    outlet?.write(`${style.green('○')} ${target} is stopped after ${duration(performance.now() - start)}\n`)
  } finally {
    await outlet?.close()
  }
  return 0
}
