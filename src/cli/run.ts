// `keepmount run [options] -- COMMAND…`
import { KeepmountError } from '../errors/error.js'
import { run as supervise } from '../supervise/index.js'
import { addEventOptions, withEvents } from './event-options.js'
import { addMountOptions, readMountOptions } from './options/mount-options.js'
import { commandNamed, parse } from './parser.js'

export async function run(argv: readonly string[]): Promise<number> {
  const separator = argv.indexOf('--')
  const own = separator < 0 ? argv : argv.slice(0, separator)
  const daemon = separator < 0 ? [] : argv.slice(separator + 1)
  const command = addEventOptions(addMountOptions(commandNamed('run')))
    .argument('[command...]')
    .addHelpText('after', help)
    // So that a command without its -- is told apart from a mistake in our own options.
    .passThroughOptions()
  if (!(await parse(command, own))) return 0
  if (daemon.length === 0 || command.args.length > 0) throw new KeepmountError('NO_SEPARATOR', { argv: command.args })
  const options = readMountOptions(command, daemon, process.cwd())
  return withEvents(command, options.mountpoint, (emit) => supervise(options, emit))
}

const help = `
An argument {fd} of the command is replaced by the number of the descriptor that the
channel is handed over on; it is announced as systemd does as well (LISTEN_FDS).

The exit code is the daemon's own, 128+n if signal n ended it, 125 if keepmount itself
failed, 126 if the command cannot be run, 127 if it was not found.

Example:
  keepmount run --name data -- sshfs -f host:/data /mnt/data`
