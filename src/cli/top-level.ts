// What is said before a command is known: help, the version, and what is meant by a command that there is not.
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { commands, isCommand } from './commands.js'
import { parse, quiet } from './parser.js'

/** @param argv of which the first is no command, or none at all */
export async function topLevel(argv: readonly string[]): Promise<number> {
  const [first, topic] = argv
  if (first === 'help' && topic !== undefined && isCommand(topic)) {
    // The page of errors is what one who asks for help with them wants.
    return await (await commands[topic].load())(topic === 'errors' ? argv.slice(2) : ['--help'])
  }
  const program = quiet(new Command('keepmount'))
    .description('Keeps FUSE mounts alive when their daemons die.')
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .configureHelp({
      subcommandTerm: (command) => (isCommand(command.name()) ? command.usage() : 'help [COMMAND]'),
      subcommandDescription: (command) => command.description(),
    })
    .addHelpText('after', '\nExample:\n  keepmount run -- sshfs -f host:/data /mnt/data')
  for (const [name, { usage, summary }] of Object.entries(commands)) {
    program.addCommand(quiet(new Command(name)).usage(usage).description(summary).helpOption(false))
  }
  await parse(program, argv.length === 0 || (first === 'help' && topic === undefined) ? ['--help'] : argv)
  return argv.length === 0 ? 125 : 0
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
