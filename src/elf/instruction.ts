// What the encoders make and the assembler lays out, and the contract that each architecture fulfils.
import type { Row } from './program.js'

/** One machine instruction, or a piece of data. */
export interface Instruction {
  /** As GNU as reads it (x86-64: Intel syntax); labels by name. */
  readonly mnemonic: string
  readonly size: number
  /** The label it refers to. */
  readonly target?: string
  /** @param distance from the start of this instruction to its target, in bytes */
  readonly encode: (distance: number) => readonly number[]
}

export interface Target {
  /** `e_machine` of the ELF header. */
  readonly machine: number
  /** How many variables a program may have. */
  readonly variables: number
  /** Makes room for the frame. The first row of each program. */
  readonly reserve: (frameSize: number) => Instruction[]
  /** The first row of a function: saves the registers of all variables behind the frame, and takes the argument. */
  readonly enter: (frameSize: number) => Instruction[]
  /** @param variableOf the number of a variable by its name */
  readonly lower: (row: MachineRow, variableOf: (name: string) => number, frameSize: number) => Instruction[]
}

/** The rows that become instructions. */
export type MachineRow = Exclude<Row, readonly ['label', ...unknown[]] | readonly ['data', ...unknown[]]>

/** An instruction that refers to no label. */
export const fixed = (mnemonic: string, bytes: readonly number[]): Instruction => ({
  mnemonic,
  size: bytes.length,
  encode: () => bytes,
})

/** `width` bytes of a number, the lowest first. */
export const littleEndian = (value: number, width: number): number[] =>
  Array.from({ length: width }, (_, i) => Number((BigInt.asUintN(64, BigInt(value)) >> BigInt(8 * i)) & 0xffn))
