// The command line: finds the command, runs it, and turns what it throws into a message and an exit code. Until the
// command is known nothing else is loaded.
import { commands, isCommand } from './commands.js'

/**
 * @param argv without node and the script
 * @returns the exit code
 */
export async function main(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv
  try {
    if (isCommand(name)) return await (await commands[name].load())(rest)
    return await (await import('./top-level.js')).topLevel(argv)
  } catch (error) {
    return await (await import('./report-error.js')).reportError(error, rest)
  }
}
