// The mount that a user means by NAME or DIR.
import { resolve } from 'node:path'
import { knownMounts } from '../state/folder.js'

/**
 * The name, or the absolute path of the folder. A path is made absolute by its text alone: to follow links could touch a
 * mount whose daemon is dead.
 */
export const targetOf = (given: string): string =>
  knownMounts().some(({ name }) => name === given)
    ? given
    : given.includes('/') || isMountpoint(given)
      ? resolve(given)
      : given

const isMountpoint = (given: string): boolean =>
  knownMounts().some(({ record }) => record?.mount?.mountpoint === resolve(given))
