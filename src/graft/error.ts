// Why a life could not be grafted. Each of these leaves the daemon as it was.
import type { Pid } from '../native/types.js'

const reasons = {
  'no-right': 'cannot be traced: ptrace access is refused, or a debugger is attached',
  ended: 'has ended',
  'not-stopping': 'its threads do not stop',
  'no-channel': 'has no channel of its decoy open',
  'keeps-opening': 'opens one channel after the other',
  'io-uring': 'uses the channel through io_uring, where no other file can be put in its place',
  'still-served': 'is not the only one that serves its decoy',
  'other-machine': 'is a 32-bit program',
  'no-syscall-instruction': 'has no vdso to make a system call in',
  unisolated: 'could not be given a mount namespace of its own',
  'no-decoy': 'has not mounted a decoy',
} as const

export type GraftReason = keyof typeof reasons

export class GraftError extends Error {
  override readonly name = 'GraftError'

  constructor(
    readonly reason: GraftReason,
    readonly pid: Pid,
    detail?: string,
    options?: { cause?: unknown },
  ) {
    super(`daemon ${pid} ${reasons[reason]}${detail ? `: ${detail}` : ''}`, options)
  }
}
