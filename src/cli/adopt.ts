// `keepmount adopt NAME|DIR`
import { adopt as supervise } from '../supervise/index.js'
import { addEventOptions, withEvents } from './event-options.js'
import { commandNamed, parse } from './parser.js'
import { targetOf } from './target.js'

export async function adopt(argv: readonly string[]): Promise<number> {
  const command = addEventOptions(commandNamed('adopt')).argument('<target>', 'the name or the mountpoint')
  if (!(await parse(command, argv))) return 0
  const target = targetOf(command.args[0] ?? '')
  return withEvents(command, null, (emit) => supervise(target, emit))
}
