// What goes wrong with a holder. A channel is lost by none of these as long as another holder or the daemon lives.
import type { Pid } from '../native/types.js'

const reasons = {
  unstartable: 'could not be started',
  ended: 'has ended',
  silent: 'does not answer (stopped?)',
  foreign: 'is not a holder of ours',
  forbidden: 'may not be reached: ptrace access is refused',
  refused: 'refused the command',
  lost: 'has not got this channel, and nobody else has',
} as const

export class HolderError extends Error {
  override readonly name = 'HolderError'

  constructor(
    readonly reason: keyof typeof reasons,
    /** Null if no process came to be, or if no one holder is meant. */
    readonly pid: Pid | null,
    detail?: string,
    options?: { cause?: unknown },
  ) {
    super(`holder ${pid === null ? '' : `${pid} `}${reasons[reason]}${detail ? `: ${detail}` : ''}`, options)
  }
}
