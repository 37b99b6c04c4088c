// What every application of the storm is: a process that takes step after step on a mount until its stdin ends, then
// looks at what it has made, and prints one line of JSON. The mount's daemon may die at any moment; nothing may show.
import { writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

export interface WorkloadResult {
  readonly name: string
  /** Steps taken; what a step is, the workload says. */
  readonly operations: number
  /** Steps that failed. The first few of each kind are in `notes`. */
  readonly errors: number
  /** Bytes, names or effects that are not what was done: lost, doubled or another's. */
  readonly wrong: number
  /** The longest step, in milliseconds. */
  readonly longest_ms: number
  readonly notes: readonly string[]
  /** How often it met with each kind of error or misfit: its text without what differs from time to time. */
  readonly kinds: Readonly<Record<string, number>>
}

export interface Workload {
  /** One step. What it throws is an error of the application; what it returns, if anything, is something wrong. */
  step(): undefined | string | Promise<undefined | string>
  /** After the last step: all that is wrong. */
  finish?(): string[]
  /** Steps to take at most; without it, until stdin ends. */
  readonly limit?: number
}

/**
 * What is unlinked while open, libfuse gives another name until it is closed. Of that it learns later than the application:
 * the kernel sends a RELEASE when it has few enough other requests in the background, without anyone waiting for it. Such a
 * name may be there, and has to go by itself. Source: fs/fuse/dev.c, flush_bg_queue.
 */
export const isHidden = (name: string): boolean => name.startsWith('.fuse_hidden')

/** Of each kind. */
const NOTES = 4

/** Runs the workload `name` in this process to its end. Prints `ready` once the first step is done. */
export async function runWorkload(name: string, prepare: () => Workload): Promise<void> {
  let stopped = false
  process.stdin.on('end', () => {
    stopped = true
  })
  process.stdin.resume()

  const notes: string[] = []
  let operations = 0
  let errors = 0
  let wrong = 0
  let longest = 0
  const kinds: Record<string, number> = {}
  const note = (text: string): void => {
    const kind = kindOf(text)
    const count = (kinds[kind] ?? 0) + 1
    kinds[kind] = count
    if (count <= NOTES) notes.push(`${new Date().toISOString()} ${text}`)
  }
  const misfit = (text: string): void => {
    wrong++
    note(`wrong: ${text}`)
  }
  const failure = (error: unknown): void => {
    errors++
    note(error instanceof Error ? error.message : String(error))
  }

  let workload: Workload | undefined
  try {
    workload = prepare()
  } catch (error) {
    failure(error)
    print('ready')
  }
  while (workload && !stopped && operations + errors < (workload.limit ?? Number.POSITIVE_INFINITY)) {
    const started = performance.now()
    try {
      const problem = await workload.step()
      operations++
      if (problem !== undefined) misfit(problem)
    } catch (error) {
      failure(error)
    }
    longest = Math.max(longest, performance.now() - started)
    if (operations + errors === 1) print('ready')
    // The turn in which the end of stdin is seen.
    await setImmediate()
  }
  try {
    for (const problem of workload?.finish?.() ?? []) misfit(problem)
  } catch (error) {
    failure(error)
  }
  const longest_ms = Math.round(longest * 10) / 10
  print(JSON.stringify({ name, operations, errors, wrong, longest_ms, notes, kinds } satisfies WorkloadResult))
  process.exit()
}

/** What is told of the same cause reads the same: without paths, quotations and numbers. */
const kindOf = (text: string): string =>
  text
    .replace(/‘[^’]*’|'[^']*'|\/\S+/g, '…')
    .replace(/\d+/g, '#')
    .slice(0, 200)

/** In one piece before the process ends; console.log on a pipe may be cut. */
const print = (line: string): void => {
  writeSync(1, `${line}\n`)
}

/** The folders a workload is given: the mount, and what it mirrors. */
export function folders(): { mount: string; source: string } {
  const [mount, source] = process.argv.slice(2)
  if (mount === undefined || source === undefined) throw new Error('usage: WORKLOAD MOUNT SOURCE')
  return { mount, source }
}
