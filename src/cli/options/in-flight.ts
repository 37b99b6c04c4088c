// `--in-flight resend|hold|fail:ERRNO`, the errno by name or number.
import { constants } from 'node:os'
import type { InFlightPolicy } from '../../supervise/options.js'

/** Null for what is no policy. */
export function parseInFlight(text: string): InFlightPolicy | null {
  if (text === 'resend' || text === 'hold') return { kind: text }
  const name = /^fail:(\w+)$/.exec(text)?.[1]
  const errno = name === undefined ? undefined : errnoOf(name.toUpperCase())
  return errno === undefined ? null : { kind: 'fail', errno }
}

/** FUSE takes errnos below 512 from a daemon. Source: fs/fuse/dev.c, fuse_dev_do_write. */
const LAST_ERRNO = 511

function errnoOf(name: string): number | undefined {
  if (/^\d+$/.test(name)) {
    const errno = Number(name)
    return errno > 0 && errno <= LAST_ERRNO ? errno : undefined
  }
  const known: Readonly<Record<string, number>> = constants.errno
  return Object.hasOwn(known, name) ? known[name] : undefined
}
