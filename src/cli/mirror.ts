// `keepmount mirror SOURCE MOUNTPOINT`. Every application on the mount waits while a later life of it starts, so its
// few options are read here and commander is loaded only to explain them.
import { type MirrorOptions, mirror as serve } from '../mirror/index.js'

export async function mirror(argv: readonly string[]): Promise<number> {
  const asked = readArguments(argv)
  if (typeof asked !== 'string') return await serve(asked)
  const { commandNamed, parse, usageError } = await import('./parser.js')
  const command = commandNamed('mirror')
    .argument('<source>', 'the folder to mirror')
    .argument('<mountpoint>', 'an existing folder')
    .option('-o <option,…>', 'mount options: allow_other, noallow_other, rw')
    .option('--allow-other', 'other users may use the mount as the files’ modes allow (default)')
    .option('--no-allow-other', 'only this user may use the mount')
    .addHelpText('after', help)
  if (asked === '' && !(await parse(command, ['--help']))) return 0
  throw usageError('keepmount mirror', asked)
}

/** What each option says about `allowOther`. */
const options: Readonly<Record<string, boolean | undefined>> = {
  allow_other: true,
  noallow_other: false,
  rw: undefined,
  '--allow-other': true,
  '--no-allow-other': false,
}

/** The options, what is wrong with them, or nothing if help is asked for. */
export function readArguments(argv: readonly string[]): MirrorOptions | string {
  const folders: string[] = []
  let allowOther: boolean | undefined
  let onlyFolders = false
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    if (onlyFolders || !/^-./.test(word)) folders.push(word)
    else if (word === '--') onlyFolders = true
    else if (word === '-h' || word === '--help') return ''
    else {
      if (word === '-o' && argv[i + 1] === undefined) return 'option ‘-o’ needs a value'
      const given = word === '-o' ? argv[++i] : word.startsWith('-o') ? word.slice(2) : word
      for (const option of (given ?? '').split(',')) {
        if (!Object.hasOwn(options, option)) return `unknown option ‘${option}’`
        allowOther = options[option] ?? allowOther
      }
    }
  }
  const [source, mountpoint] = folders
  if (source === undefined || mountpoint === undefined) return 'SOURCE and MOUNTPOINT are needed'
  if (folders.length > 2) return `one folder too many: ${folders[2]}`
  return { source, mountpoint, ...(allowOther !== undefined && { allowOther }) }
}

const help = `
It stays in the foreground. Started again with its channel (LISTEN_FDS) it goes on serving
the same mount, which is what keepmount run does:

  keepmount run -- keepmount mirror /srv/data /mnt/data`
