// `{fd}` in a daemon's argv, for daemons with a flag of their own for the channel. The first life has none: an argument
// with `{fd}` in it is left out then, and so is the flag before one that is nothing but `{fd}`.

export const PLACE = '{fd}'

/** @param fd the channel's number in the daemon, null for a life that mounts by itself */
export function fillIn(argv: readonly string[], fd: number | null): string[] {
  if (fd !== null) return argv.map((argument) => argument.replaceAll(PLACE, String(fd)))
  return argv.filter(
    (argument, i) => !argument.includes(PLACE) && !(argument.startsWith('-') && argv[i + 1] === PLACE && i > 0),
  )
}
