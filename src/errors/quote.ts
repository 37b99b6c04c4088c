// Commands that a user can copy out of a message.

/** A word as a shell takes it. */
export const quote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

/** The command that unmounts a dead mount: umount(8) as root, otherwise FUSE's own. */
export const umountCommand = (mountpoint: string): string =>
  `${process.getuid?.() === 0 ? 'umount -l' : 'fusermount3 -u -z'} ${quote(mountpoint)}`
