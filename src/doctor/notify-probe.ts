// Which notifications this kernel knows, found by sending them to a connection of our own.
import { errnoName } from '../native/error.js'
import { TrialConnection } from './trial-connection.js'

/** Codes of include/uapi/linux/fuse.h, enum fuse_notify_code. */
export const notifications = { FUSE_NOTIFY_RESEND: 7, FUSE_NOTIFY_INC_EPOCH: 8 } as const
export type NotificationName = keyof typeof notifications

/**
 * True if the kernel takes the notification.
 * @throws SyscallError, EPERM without CAP_SYS_ADMIN
 */
export function probeNotify(name: NotificationName): boolean {
  const trial = TrialConnection.open()
  try {
    const errno = trial.notify(notifications[name])
    if (errno !== 0 && errnoName(errno) !== 'EINVAL') throw new Error(`${name}: ${errnoName(errno)}`)
    return errno === 0
  } finally {
    trial.close()
  }
}
