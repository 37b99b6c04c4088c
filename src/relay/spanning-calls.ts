// Calls of applications that began in an earlier life and are not over yet. A rename compares the folders that it found
// first with those that it found last, to see that nothing comes to lie within itself; if one was found in the earlier life
// and the same one again in this, under another nodeid, the kernel does not see that they are one. Such a rename is told
// ESTALE, upon which the kernel looks up all its names again and makes the request anew; the application sees nothing of it.
// Source: fs/namei.c, retry_estale in do_renameat2.
import { opcodes } from '../fuse/opcodes.js'

const renames = new Set<number>([opcodes.RENAME.number, opcodes.RENAME2.number])

export class SpanningCalls {
  private readonly tids = new Set<number>()

  private isOver = false

  /** A request of this thread's: if it waited for the life to begin, so did its call. */
  meet(tid: number, resent: boolean): void {
    if (resent || !this.isOver) this.tids.add(tid)
  }

  /** All requests that waited have been read. */
  end(): void {
    this.isOver = true
  }

  /**
   * True, once for a thread, for a rename whose call is to begin anew. One that is resent was compared in the life that
   * it was sent to.
   */
  beginsAnew(opcode: number, tid: number, resent: boolean): boolean {
    return this.tids.size > 0 && !resent && renames.has(opcode) && this.tids.delete(tid)
  }
}
