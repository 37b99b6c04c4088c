// The one error type that a user sees: a stable code and facts. Its text and exit code stand in messages.ts.
import { type ErrorCode, type Facts, messages } from './messages.js'

export class KeepmountError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'KeepmountError'
  /** What to do about it. */
  readonly remedy: string
  /** 125 our own failure, 126 the command cannot be run, 127 it was not found; as env(1) and timeout(1) have it. */
  readonly exitCode: number

  constructor(
    readonly code: Code,
    readonly facts: Facts[Code],
    options?: { cause?: unknown },
  ) {
    const { text, remedy, exitCode } = messages[code]
    super(text(facts), options)
    this.remedy = remedy(facts)
    this.exitCode = typeof exitCode === 'number' ? exitCode : exitCode(facts)
  }
}
