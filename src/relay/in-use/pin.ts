// Something that holds on to a file of a mount.

import type { NodeHandle } from '../../kernel/node-handle.js'
import { readOr } from '../../kernel/procfs.js'

/** By what something holds on to a file. Of the last it can't be told which nodeids they use. */
export type PinKind =
  | 'open'
  | 'cwd'
  | 'root'
  | 'mmap'
  | 'bind'
  | 'watch'
  | 'socket' // bound to it
  | 'mount' // mounted on one of its folders
  | 'overlay' // an overlay that shows one of its folders
  | 'loop' // a loop device's
  | 'swap'
  | 'ring' // registered with an io_uring
  | 'flight' // on its way through a socket, of this mount or another

export interface Pin {
  /** null: the kernel. */
  readonly pid: number | null
  /** The process's name. */
  readonly command: string
  readonly path: string
  readonly kind: PinKind
  /** 0 if it can't be told. */
  readonly nodeLow: number
  readonly nodeHigh: number
  readonly generation: number
  /** Where procfs shows it; null where it has to be looked for. */
  readonly file: string | null
  /** The folder in which it was opened; null if that can't be told. */
  readonly folder?: NodeHandle | null
}

/** One of which it can't be told what it holds on to. */
export function unknown(pid: number | null, path: string, kind: PinKind): Pin {
  return { pid, command: commandOf(pid), path, kind, nodeLow: 0, nodeHigh: 0, generation: 0, file: null }
}

/** The name of a process; empty for the kernel. */
export const commandOf = (pid: number | null): string =>
  pid === null ? '' : (readOr(`/proc/${pid}/comm`) ?? '').trim()
