// Exactly once. A request with bit 63 may have been executed by the life that died. Before a change that cannot be
// repeated, what tells afterwards whether it was made is written to the intent record; a resent request whose record is
// there is settled by comparing. Killing at any instruction leaves one of three states:
//
//   before the record    no record of this request: it was never begun, and is executed
//   recorded             the record says what the world was like before: it still is (execute) or has changed (answer)
//   replied              the kernel does not resend it
import type { Request } from '../fuse/request.js'
import type { Mirror, Outcome } from './mirror.js'

export interface Change {
  /**
   * Looks at what is to be changed, and sets the facts of the record.
   * @returns 1 to record it, 0 if repeating it does no harm, a negative errno if it cannot be done
   */
  before(mirror: Mirror, request: Request): number
  /** True if, by the record's facts, the change has been made. */
  done(mirror: Mirror, request: Request): boolean
  /** Makes it. A negative errno if that failed. */
  execute(mirror: Mirror, request: Request): number
  /** Replies to it once it has been made. */
  answer(mirror: Mirror, request: Request): Outcome
}

/** Serves a request that makes this change, in whatever life it was begun. */
export function once(change: Change, mirror: Mirror, request: Request): Outcome {
  if (request.resent && mirror.intent.matches(request)) {
    if (change.done(mirror, request)) return change.answer(mirror, request)
  } else {
    const record = change.before(mirror, request)
    if (record < 0) return record
    if (record > 0) {
      mirror.intent.record(request)
      mirror.onStep?.('recorded', request)
    }
  }
  const result = change.execute(mirror, request)
  return result < 0 ? result : change.answer(mirror, request)
}

/** The answer to a change that has nothing to tell. */
export const nothing = (): Outcome => 0
