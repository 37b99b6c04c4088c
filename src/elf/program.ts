// The language of our programs: portable rows that both machines can express, since the system calls take the same
// structs on both. `x64.ts` and `arm64.ts` turn a row into machine instructions, `assemble.ts` puts them together.
//
//   frame:  | scratch of the program | argc | argv[0] … NULL | envp[0] … NULL |
//           ^ frame(0)               ^ frame(size)
//
// A function is code that this process calls itself: its argument is in the first variable, and what its caller keeps in the
// registers of the variables is put back when it returns.
import type { SyscallName } from '../native/syscall-numbers.js'

export interface Program {
  /** What /proc/PID/exe shows, as `/memfd:NAME (deleted)`. */
  readonly name: string
  /** At most six: each is a register that system calls leave alone. `result` exists besides them. */
  readonly variables: readonly string[]
  /** Bytes of scratch on the stack, a multiple of 16. What the kernel put on the stack begins right after them. */
  readonly frameSize: number
  readonly rows: readonly Row[]
  /** Called as a C function of one number. */
  readonly isFunction?: true
}

export type Row =
  | readonly [op: 'label', name: string]
  /** Bytes to read from; only after the last instruction. */
  | readonly [op: 'data', bytes: Buffer]
  /** A system call. What it returns, or -errno, is in `result` until the next one. */
  | readonly [op: 'call', name: SyscallName, ...Value[]]
  | readonly [op: 'move', to: string, Value]
  | readonly [op: 'add', to: string, string | number]
  | readonly [op: 'negate', variable: string]
  /** Unsigned: the quotient stays in the first variable. */
  | readonly [op: 'divide', variable: string, remainder: string, by: number]
  /** Fewer than 8 bytes are filled up with zeros. */
  | readonly [op: 'load', to: string, Size, Place]
  | readonly [op: 'store', Size, Place, Value]
  | readonly [op: 'goto', label: string]
  | readonly [op: 'if', variable: string, Condition, Value, label: string]
  | readonly [op: 'ifBit', variable: string, bit: number, label: string]
  /** Of a function only. */
  | readonly [op: 'return', Value]

export type Size = 1 | 4 | 8
/** `below` is unsigned, the others are signed. */
export type Condition = '==' | '!=' | '<' | '<=' | 'below'

/** A number in the signed or unsigned 32 bits, the name of a variable, or an address. */
export type Value = number | string | Frame | Label
/** Bytes on the stack; as a value, their address. */
export interface Frame {
  readonly frame: number
}
/** The address of a label. */
export interface Label {
  readonly label: string
}
/** Where a load reads and a store writes. */
export type Place = Frame | { readonly at: string; readonly offset: number }

export const frame = (offset: number): Frame => ({ frame: offset })
export const address = (label: string): Label => ({ label })
/** The bytes that a variable points to, or so many behind them. */
export const at = (variable: string, offset = 0): Place => ({ at: variable, offset })
