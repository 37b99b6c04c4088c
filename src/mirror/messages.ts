// Every error that ends mirrorfs, by code: what happened and what to do.

const messages = {
  NO_FUSE_DEVICE: {
    text: (reason: string) => `/dev/fuse cannot be opened: ${reason}`,
    remedy: 'load the module (modprobe fuse); in a container pass the device in (--device /dev/fuse)',
  },
  CANNOT_MOUNT: {
    text: (reason: string) => `the mount failed: ${reason}`,
    remedy: 'the mountpoint must be an existing folder, and mounting needs CAP_SYS_ADMIN',
  },
  ALREADY_MIRRORED: {
    text: (reason: string) => `another mirror serves this source at this mountpoint: ${reason}`,
    remedy: 'unmount it first, or use another mountpoint',
  },
  SOURCE_UNUSABLE: {
    text: (reason: string) => `the source folder cannot be used: ${reason}`,
    remedy: 'it must be an existing folder that root can read',
  },
  NO_HANDLES: {
    text: (reason: string) => `the source’s file system has no file handles that fit in 64 bits: ${reason}`,
    remedy: 'use a folder on ext4, xfs, btrfs or tmpfs; overlayfs and network file systems cannot be mirrored',
  },
  NO_RIGHTS: {
    text: (reason: string) => `a capability is missing: ${reason}`,
    remedy: 'run as root; a container needs CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH, CAP_SETUID, CAP_SETGID and CAP_SETPCAP',
  },
  BAD_CHANNEL: {
    text: (reason: string) => `the inherited descriptor 3 is not the channel of a mount: ${reason}`,
    remedy: 'LISTEN_FDS=1 LISTEN_FDNAMES=fuse announces an open /dev/fuse as descriptor 3',
  },
  ABORTED: {
    text: (reason: string) => `the connection was aborted: ${reason}`,
    remedy: 'unmount it: umount -l, and mount anew',
  },
} as const

export type MirrorErrorCode = keyof typeof messages

/** Something that ends mirrorfs, with its remedy. */
export class MirrorError extends Error {
  override readonly name = 'MirrorError'
  readonly remedy: string

  constructor(
    readonly code: MirrorErrorCode,
    readonly reason: string,
  ) {
    super(messages[code].text(reason))
    this.remedy = messages[code].remedy
  }
}
