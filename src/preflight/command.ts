// The daemon's program, found as execvp(3) finds it: by its path if it has a slash, otherwise in the folders of PATH.
import { accessSync, constants, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { KeepmountError } from '../errors/error.js'
import { failedWith } from '../native/error.js'
import type { MountOptions } from '../supervise/options.js'

/** What execvp(3) takes without PATH: confstr(_CS_PATH). */
const DEFAULT_PATH = '/bin:/usr/bin'

/**
 * @returns the absolute path
 * @throws KeepmountError COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE
 */
export function findCommand({ argv, cwd, env }: Pick<MountOptions, 'argv' | 'cwd' | 'env'>): string {
  const command = argv[0] ?? ''
  // An empty entry of PATH is the present folder.
  const candidates = command.includes('/')
    ? [resolve(cwd, command)]
    : (env.PATH ?? DEFAULT_PATH).split(':').map((folder) => resolve(cwd, folder, command))
  let refusal: string | null = null
  for (const path of command === '' ? [] : candidates) {
    const reason = whyNot(path)
    if (reason === null) return path
    if (reason !== 'not found') refusal ??= reason
  }
  if (refusal === null) throw new KeepmountError('COMMAND_NOT_FOUND', { command })
  throw new KeepmountError('COMMAND_NOT_EXECUTABLE', { command, reason: refusal })
}

/** Why this file is not the program; null if it is. */
function whyNot(path: string): string | null {
  try {
    const file = statSync(path)
    if (file.isDirectory()) return 'it is a folder'
    if (!file.isFile()) return 'it is no regular file'
    accessSync(path, constants.X_OK)
    return null
  } catch (error) {
    if (failedWith(error, 'ENOENT', 'ENOTDIR')) return 'not found'
    if (failedWith(error, 'EACCES')) return 'permission denied'
    return error instanceof Error ? error.message : String(error)
  }
}
