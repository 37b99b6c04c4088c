// What a failed system call throws: the call, the errno and what it was about, so that a caller can decide by `code`
// and a message can name the file or process.
import { getSystemErrorMap } from 'node:util'

const errors = getSystemErrorMap()

export class SyscallError extends Error {
  override readonly name = 'SyscallError'
  /** The errno's name, as `ENOENT`. */
  readonly code: string

  constructor(
    readonly syscall: string,
    /** Positive, as errno(3) has it. */
    readonly errno: number,
    /** What the call was about: a path, `pid 12`, `fd 3 of pid 12`. */
    readonly subject: string,
  ) {
    super(`${syscall} ${subject}: ${errnoText(errno)} (${errnoName(errno)})`)
    this.code = errnoName(errno)
  }
}

/** `ENOENT` for 2; `E<number>` for one that Node does not know. */
export const errnoName = (errno: number): string => errors.get(-errno)?.[0] ?? `E${errno}`

/** `no such file or directory` for 2. */
export const errnoText = (errno: number): string => errors.get(-errno)?.[1] ?? `error ${errno}`

/** True if `error` is a failure with one of these errno names, from a system call here or from Node's own fs. */
export const failedWith = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code))
