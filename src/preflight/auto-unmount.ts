// `auto_unmount` makes fusermount watch the daemon and unmount when it dies: the opposite of what we are for.
import { KeepmountError } from '../errors/error.js'
import type { MountOptions } from '../supervise/options.js'

/** @throws KeepmountError AUTO_UNMOUNT */
export function refuseAutoUnmount({ argv }: Pick<MountOptions, 'argv'>): void {
  for (let i = 1; i < argv.length; i++) {
    const argument = argv[i] ?? ''
    const isValue = takesOptions.test(argv[i - 1] ?? '')
    if (optionsIn(argument, isValue).some(isAutoUnmount)) throw new KeepmountError('AUTO_UNMOUNT', { argument })
  }
}

/** `-o` or a cluster of short options that ends in it, and the long spellings of other daemons. */
const takesOptions = /^(-[A-Za-z]*o|--(options?|opts?|fuse-(flag|opts?|options?)))$/

/** The mount options that an argument holds; `isValue` if it follows an option that takes them. */
function optionsIn(argument: string, isValue: boolean): string[] {
  const value = /^-o=?(.+)$/s.exec(argument)?.[1] ?? /^--?[\w-]+=(.+)$/s.exec(argument)?.[1]
  if (value !== undefined) return value.startsWith('-') ? optionsIn(value, false) : [argument, ...value.split(',')]
  return isValue ? argument.split(',') : [argument].filter((each) => each.startsWith('-'))
}

const isAutoUnmount = (option: string): boolean => /^(--?)?auto[_-]unmount(=(1|true|yes|on))?$/.test(option)
