// Calls of applications that were told ESTALE. The kernel then looks all their names up anew and tries again, once: told so a
// second time, which takes a second death within the call, the application sees it. So no call is told twice, whichever life
// told it first. Source: fs/namei.c, retry_estale.
import { layout } from '../../fuse/layout.js'

const header = layout('fuse_in_header')
/** Threads that have ended are not taken out. */
const MOST = 1000

export class Retries {
  /** What each thread was told it for. */
  private readonly told = new Map<number, number>()

  /** True if none of the calls that sent these requests was told ESTALE yet: then all of them count as told. */
  mayTell(requests: readonly Uint8Array[]): boolean {
    const calls = requests.map(callOf)
    if (calls.some(({ tid, opcode }) => this.told.get(tid) === opcode)) return false
    if (this.told.size > MOST) this.told.clear()
    // Who has no number here, is told each time.
    for (const { tid, opcode } of calls) if (tid !== 0) this.told.set(tid, opcode)
    return true
  }

  /** A request of this thread's goes on. */
  passed(tid: number, opcode: number): void {
    if (this.told.size > 0 && this.told.get(tid) === opcode) this.told.delete(tid)
  }
}

function callOf(request: Uint8Array): { tid: number; opcode: number } {
  const view = new DataView(request.buffer, request.byteOffset, request.byteLength)
  return { tid: header.pid.get(view, 0), opcode: header.opcode.get(view, 0) }
}
