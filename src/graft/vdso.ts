// A place in a process where a system call instruction stands: its vdso has one, in the fallbacks of its functions.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { failedWith } from '../native/error.js'
import { registerLayout } from '../native/registers.js'
import type { Pid } from '../native/types.js'
import { GraftError } from './error.js'

/**
 * The address of the instruction in that process.
 * @throws GraftError `no-syscall-instruction`, `no-right`, `ended`
 */
export function syscallInstructionOf(pid: Pid): number {
  try {
    const maps = readFileSync(`/proc/${pid}/maps`, 'latin1')
    // A process that is ending has no memory any more.
    if (maps === '') throw new GraftError('ended', pid)
    const range = /^([0-9a-f]+)-([0-9a-f]+) .*\[vdso\]$/m.exec(maps)
    const [start, end] = [range?.[1], range?.[2]].map((text) => Number.parseInt(text ?? '0', 16))
    const offset = start && end ? offsetIn(pid, start, end - start) : -1
    if (!start || offset < 0) throw new GraftError('no-syscall-instruction', pid)
    return start + offset
  } catch (error) {
    if (failedWith(error, 'ENOENT', 'ESRCH')) throw new GraftError('ended', pid, undefined, { cause: error })
    if (failedWith(error, 'EACCES', 'EPERM')) throw new GraftError('no-right', pid, undefined, { cause: error })
    throw error
  }
}

/** All processes of a machine have the same vdso: only its place differs. One of another size is looked through anew. */
const offsets = new Map<number, number>()

function offsetIn(pid: Pid, start: number, size: number): number {
  const known = offsets.get(size)
  if (known !== undefined) return known
  const code = Buffer.alloc(size)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    readSync(memory, code, 0, size, start)
  } finally {
    closeSync(memory)
  }
  const { syscallInstruction, alignment } = registerLayout
  let offset = code.indexOf(syscallInstruction)
  while (offset % alignment > 0) offset = code.indexOf(syscallInstruction, offset + 1)
  offsets.set(size, offset)
  return offset
}
