// What an operation gives: as the performer saw it, and as the model expects it.
import type { FileNode, Reading } from './model/tree.js'

/** What stat(2) tells and a model can know. */
export interface Facts {
  readonly type: 'file' | 'folder' | 'symlink' | 'other'
  /** Of files, and of symbolic links the length of what they say. */
  readonly size?: number
  /** Permission bits, not of symbolic links. */
  readonly mode?: number
  /** Names of a file. */
  readonly links?: number
  /** In seconds; undefined if not known. */
  readonly mtime?: number
}

/** One name of a snapshot. */
export interface Entry {
  readonly path: string
  readonly facts: Facts
  readonly bytes?: Buffer
  readonly target?: string
  readonly xattrs: Readonly<Record<string, string>>
}

export interface Totals {
  readonly counters: Readonly<Record<string, number>>
  readonly log: string
}

export type Value = number | string | Buffer | readonly string[] | Facts | readonly Entry[] | Totals | null

/** `errno` is the name of it, as ENOENT. */
export type Actual = { readonly value: Value } | { readonly errno: string; readonly text?: string }

export type Expectation =
  | { readonly errno: string }
  | { readonly done: true }
  | { readonly count: number }
  /** From where in the file; `older`: what they were before their last change, see FileNode. */
  | { readonly bytes: Buffer; readonly older: Buffer; readonly from: number; readonly file: FileNode }
  | { readonly text: string }
  /** In any order. */
  | { readonly names: readonly string[] }
  | { readonly facts: Facts }
  | { readonly reading: Reading }
  | { readonly entries: readonly ExpectedEntry[] }
  /** Only all processes together can tell, see shared.ts. */
  | { readonly shared: true }

export type ExpectedEntry = Entry & { readonly older?: Buffer; readonly file?: FileNode }

/** The model has no answer, as for a mapping behind the end of a file: it is not tried. */
export const impossible = 'impossible'
export type Impossible = typeof impossible
