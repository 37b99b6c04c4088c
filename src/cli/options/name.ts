// The name of a managed mount: it names a folder, so it has only harmless characters. The same command in the same folder
// has the same name, so that running it again finds what an earlier run left.
import { createHash } from 'node:crypto'
import { basename } from 'node:path'

export const LONGEST_NAME = 64

/** A leading dot or dash is left to hidden files and to options. */
export const isName = (text: string): boolean =>
  /^[A-Za-z0-9_@][A-Za-z0-9._@-]*$/.test(text) && text.length <= LONGEST_NAME

/** As `sshfs-1f0c22aa`: the daemon and a hash of its arguments and folder. */
export function defaultName(argv: readonly string[], cwd: string): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([cwd, ...argv]))
    .digest('hex')
    .slice(0, 8)
  const stem = basename(argv[0] ?? '')
    .replace(/[^A-Za-z0-9._@-]/g, '_')
    .replace(/^[.-]+/, '')
    .slice(0, LONGEST_NAME - 9)
  return `${stem || 'daemon'}-${hash}`
}
