// Stock daemons that show a folder: from the distribution, and those that libfuse3-dev ships as examples, built here.
import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Place } from '../fixtures/place.js'

export interface Stock {
  readonly name: string
  /** Null if it can't be had here. */
  readonly program: string | null
  readonly args: (place: Place) => readonly string[]
  /** What becomes of a file that was unlinked while open: libfuse's high-level daemons rename it instead. */
  readonly unlinked: 'kept' | 'gone'
}

const EXAMPLES = '/usr/share/doc/libfuse3-dev/examples'
const folder = mkdtempSync(join(tmpdir(), 'keepmount-examples-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

export const stockDaemons: readonly Stock[] = [
  { name: 'bindfs', program: found('bindfs'), args: ({ source, mount }) => ['-f', source, mount], unlinked: 'kept' },
  {
    name: 'passthrough_ll',
    program: example('passthrough_ll'),
    args: ({ source, mount }) => ['-f', '-o', `source=${source}`, mount],
    unlinked: 'gone',
  },
  {
    name: 'passthrough_ll with a writeback cache',
    program: example('passthrough_ll'),
    args: ({ source, mount }) => ['-f', '-o', `writeback,source=${source}`, mount],
    // The daemon has lost it as well; what is read is in the kernel's cache.
    unlinked: 'kept',
  },
  {
    name: 'passthrough_fh',
    program: example('passthrough_fh'),
    args: ({ source, mount }) => ['-f', '-o', `modules=subdir,subdir=${source}`, mount],
    unlinked: 'kept',
  },
]

export const commandOf = (stock: Stock, place: Place): string[] => [stock.program ?? '', ...stock.args(place)]

function found(name: string): string | null {
  for (const path of (process.env.PATH ?? '').split(delimiter)) {
    try {
      accessSync(join(path, name), constants.X_OK)
      return join(path, name)
    } catch {
      // Not here.
    }
  }
  return null
}

function example(name: string): string | null {
  const [source, program] = [join(EXAMPLES, `${name}.c`), join(folder, name)]
  if (existsSync(program)) return program
  try {
    const flags = execFileSync('pkg-config', ['fuse3', '--cflags', '--libs'], { encoding: 'utf8' }).trim().split(/\s+/)
    execFileSync('gcc', ['-O2', '-w', source, `-I${EXAMPLES}`, '-o', program, ...flags], { stdio: 'ignore' })
    return program
  } catch {
    return null
  }
}
