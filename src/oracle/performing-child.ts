// A process that performs, from outside: what it is asked has a deadline, and a dead mount can block only it.
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Actual } from './answer.js'
import { Frames, frame } from './frames.js'
import type { Operation } from './operations.js'
import type { Answer } from './perform/process.js'

/** What came of asking: an answer, or why there is none. The child is of no use any more then. */
export type Reply =
  | Answer
  | { readonly ended: string; readonly ms: number }
  | { readonly late: true; readonly ms: number }

/** The program that performs, next to this one. */
export const performerProgram = fileURLToPath(new URL('./perform/main.js', import.meta.url))

export class PerformingChild {
  private readonly child: ChildProcess
  private readonly frames = new Frames()
  private waiting: ((reply: Reply) => void) | undefined
  private stderr = ''
  private ended: string | undefined
  private late = false
  private readonly gone: Promise<void>

  /** @param argv the program that performs, and what it is given behind the folder */
  constructor(
    root: string,
    [program = performerProgram, ...further]: readonly string[],
    private readonly deadline: number,
  ) {
    this.child = spawn(process.execPath, [program, root, ...further], { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' })
    this.child.stdin?.on('error', () => undefined)
    this.child.stdout?.on('data', (piece: Buffer) => {
      for (const answer of this.frames.take(piece)) this.settle(answer as Answer)
    })
    this.child.stderr?.on('data', (text: Buffer) => {
      this.stderr = (this.stderr + text).slice(-2000)
    })
    this.gone = new Promise((resolve) => {
      const end = (how: string): void => {
        this.ended = `${how} ${this.stderr}`.trim()
        this.settle({ ended: this.ended, ms: 0 })
        resolve()
      }
      this.child.once('error', (error) => end(error.message))
      this.child.once('close', (code, signal) => end(String(signal ?? `exit code ${code}`)))
    })
  }

  /** One operation. Never rejects. */
  async ask(operation: Operation): Promise<Reply> {
    if (this.ended !== undefined) return { ended: this.ended, ms: 0 }
    const started = performance.now()
    const answered = new Promise<Reply>((resolve) => {
      this.waiting = resolve
    })
    const timer = setTimeout(() => this.settle({ late: true, ms: 0 }), this.deadline)
    this.child.stdin?.write(frame(operation))
    const reply = await answered
    clearTimeout(timer)
    this.late ||= 'late' in reply
    return 'actual' in reply ? reply : { ...reply, ms: performance.now() - started }
  }

  /** Ends it, by force if it hangs; one that hangs in the kernel is left to whoever ends the mount. */
  async end(): Promise<void> {
    this.child.stdin?.end()
    const timer = setTimeout(() => this.child.kill('SIGKILL'), this.late ? 0 : 2000)
    const late = new Promise<void>((resolve) => setTimeout(resolve, 4000).unref())
    await Promise.race([this.gone, late])
    clearTimeout(timer)
    this.child.unref()
    for (const pipe of [this.child.stdin, this.child.stdout, this.child.stderr]) pipe?.destroy()
  }

  private settle(reply: Reply): void {
    this.waiting?.(reply)
    this.waiting = undefined
  }
}

/** The outcome as the judge takes it, if there is one. */
export const actualOf = (reply: Reply): Actual | undefined => ('actual' in reply ? reply.actual : undefined)
