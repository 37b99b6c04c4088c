// commander for one command: it prints nothing and ends nothing by itself, and a mistake of the user is a KeepmountError.
import { Command, CommanderError } from 'commander'
import { KeepmountError } from '../errors/error.js'
import { type CommandName, commands } from './commands.js'
import { print } from './output/print.js'

/** A command without its options and arguments yet. */
export function commandNamed(name: CommandName): Command {
  const { usage, summary } = commands[name]
  return quiet(new Command(`keepmount ${name}`))
    .usage(usage.slice(name.length + 1))
    .description(sentence(summary))
    .helpOption('-h, --help', 'show this help')
}

/** Keeps commander from ending the process; what it has to say is in the CommanderError. */
export const quiet = (command: Command): Command =>
  command.exitOverride().configureOutput({
    writeOut: (text) => said.push(text),
    writeErr: () => {},
    getOutHelpWidth: () => process.stdout.columns ?? 100,
    outputError: () => {},
  })
const said: string[] = []

/**
 * @returns false if help or the version was asked for, which is then printed
 * @throws KeepmountError USAGE, BAD_OPTION
 */
export async function parse(command: Command, argv: readonly string[]): Promise<boolean> {
  try {
    command.parse(argv, { from: 'user' })
    return true
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode !== 0) throw usageError(command.name(), error.message)
    await print(said.splice(0).join(''))
    return false
  }
}

export const usageError = (command: string, problem: string): KeepmountError =>
  new KeepmountError('USAGE', { command, problem: problem.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ') })

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
