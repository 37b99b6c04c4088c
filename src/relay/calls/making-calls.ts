// Calls that are about to make a new name, in a folder that can't be found. The kernel looks the name up first. Told ESTALE then,
// it gives up; told so of what it asks for next, it looks up all names anew and tries again. So these calls are told that there
// is no such name: that is what they hope for, and they come back with the request that makes it.
// Source: fs/namei.c, filename_create, do_mkdirat and retry_estale.
import { closeSync, openSync, readSync } from 'node:fs'
import { callOf } from '../../kernel/process.js'
import { arch } from '../../native/arch.js'
import { numberOf, x64Calls } from '../../native/syscall-numbers.js'
import { namesBelow } from '../find/identity.js'

const PATH_MAX = 4096
const NUL = 0
const SLASH = Buffer.from('/')

/** Which argument of each call is the path of the new name. */
const pathAt = new Map<number, number>([
  [numberOf('mkdirat', arch), 1],
  [numberOf('mknodat', arch), 1],
  [numberOf('symlinkat', arch), 2],
  [numberOf('linkat', arch), 3],
  ...(arch === 'x64'
    ? ([
        [x64Calls.mkdir, 0],
        [x64Calls.mknod, 0],
        [x64Calls.symlink, 1],
        [x64Calls.link, 1],
      ] as const)
    : []),
])

/**
 * True if a thread that waits for a look-up is about to make what has this name, and looks for no folder on the way that is
 * called so too. False where that can't be told. Source: proc_pid_syscall(5), proc_pid_mem(5).
 */
export function isMaking(tid: number, name: Buffer): boolean {
  const [number = -1, ...values] = callOf(tid)
  const address = values[pathAt.get(number) ?? values.length]
  // As below the root, be it relative or not.
  const path = address === undefined ? SLASH : Buffer.concat([SLASH, textAt(tid, address)])
  const names = namesBelow(SLASH, path) ?? []
  return names.length > 0 && names.findIndex((each) => each.equals(name)) === names.length - 1
}

function textAt(tid: number, address: number): Buffer {
  const text = Buffer.alloc(PATH_MAX)
  try {
    const memory = openSync(`/proc/${tid}/mem`, 'r')
    try {
      const size = readSync(memory, text, 0, text.length, address)
      const end = text.indexOf(NUL)
      return text.subarray(0, Math.min(size, end < 0 ? size : end))
    } finally {
      closeSync(memory)
    }
  } catch {
    return text.subarray(0, 0)
  }
}
