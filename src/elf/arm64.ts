// aarch64: the encodings of the instructions that our programs need, and how a portable row becomes some of them.
// Source: Arm ARM, chapter C6; the system call convention of syscall(2): number in x8, arguments and result in x0 to x5.
import { numberOf } from '../native/syscall-numbers.js'
import { fixed, type Instruction, littleEndian, type MachineRow, type Target } from './instruction.js'
import type { Condition, Place, Size, Value } from './program.js'

/** 0 to 30 are x0 to x30; 31 is sp where an instruction can name it, and xzr elsewhere. */
type Register = number
const SP = 31
const ZERO = 31
const RESULT = 0
const CALL = 8
const SCRATCH = 9
const SECOND_SCRATCH = 10
const FIRST_VARIABLE = 19
const VARIABLES = 6
const SAVED = 8 * VARIABLES
const saved = Array.from({ length: VARIABLES }, (_, n): Register => FIRST_VARIABLE + n)

export const arm64: Target = {
  machine: 183,
  variables: VARIABLES,
  reserve: (frameSize) => [arm64Instructions.subImmediate(SP, SP, frameSize)],
  enter: (frameSize) => [
    arm64Instructions.subImmediate(SP, SP, frameSize + SAVED),
    ...saved.map((r, n) => arm64Instructions.store(8, SP, frameSize + 8 * n, r)),
    arm64Instructions.move(FIRST_VARIABLE, RESULT),
  ],
  lower: (row, variableOf, frameSize) =>
    lowerRow(row, (name) => (name === 'result' ? RESULT : FIRST_VARIABLE + variableOf(name)), frameSize),
}

const x = (r: Register): string => `x${r}`
const w = (r: Register): string => `w${r}`
const orStack = (r: Register): string => (r === SP ? 'sp' : x(r))
const word = (mnemonic: string, code: number): Instruction => fixed(mnemonic, littleEndian(code, 4))

/** A field of an instruction. Numbers here are added, not or-ed: JavaScript's | would make them signed. */
function field(value: number, bits: number, shift: number): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) throw new RangeError(`${value} in ${bits} bits`)
  return value * 2 ** shift
}
const signed = (value: number, bits: number): number => {
  if (value < -(2 ** (bits - 1)) || value >= 2 ** (bits - 1)) throw new RangeError(`${value} in ${bits} signed bits`)
  return value < 0 ? value + 2 ** bits : value
}

const addOrSub = (name: string, code: number) => (to: Register, from: Register, value: number) =>
  word(
    `${name} ${orStack(to)}, ${orStack(from)}, #${value}`,
    code + field(value, 12, 10) + field(from, 5, 5) + field(to, 5, 0),
  )
const compareWith = (name: string, code: number) => (r: Register, value: number) =>
  word(`${name} ${x(r)}, #${value}`, code + field(value, 12, 10) + field(r, 5, 5) + ZERO)
const wideMove = (name: string, code: number) => (r: Register, value: number, shift: number) =>
  word(
    `${name} ${x(r)}, #${value}${shift ? `, lsl #${shift}` : ''}`,
    code + field(shift / 16, 2, 21) + field(value, 16, 5) + field(r, 5, 0),
  )

const conditions = {
  '==': ['eq', 0],
  '!=': ['ne', 1],
  '<': ['lt', 11],
  '<=': ['le', 13],
  below: ['lo', 3],
} as const satisfies Record<Condition, readonly [string, number]>

/** Loads and stores by size: names, register names, opcodes. The offset is counted in units of the size. */
const transfers = {
  1: { load: ['ldrb', 0x39400000], store: ['strb', 0x39000000], name: w },
  4: { load: ['ldr', 0xb9400000], store: ['str', 0xb9000000], name: w },
  8: { load: ['ldr', 0xf9400000], store: ['str', 0xf9000000], name: x },
} as const
const transfer = (which: 'load' | 'store', r: Register, size: Size, base: Register, offset: number): Instruction => {
  const [name, code] = transfers[size][which]
  return word(
    `${name} ${transfers[size].name(r)}, [${orStack(base)}${offset ? `, #${offset}` : ''}]`,
    code + field(offset / size, 12, 10) + field(base, 5, 5) + field(r, 5, 0),
  )
}

/** One function an instruction. */
export const arm64Instructions = {
  /** Sets 16 bits and clears the others. */
  movz: wideMove('movz', 0xd2800000),
  /** Sets the complement of that. */
  movn: wideMove('movn', 0x92800000),
  /** Sets 16 bits and keeps the others. */
  movk: wideMove('movk', 0xf2800000),
  move: (to: Register, from: Register) =>
    word(`mov ${x(to)}, ${x(from)}`, 0xaa0003e0 + field(from, 5, 16) + field(to, 5, 0)),
  addImmediate: addOrSub('add', 0x91000000),
  subImmediate: addOrSub('sub', 0xd1000000),
  add: (to: Register, a: Register, b: Register) =>
    word(`add ${x(to)}, ${x(a)}, ${x(b)}`, 0x8b000000 + field(b, 5, 16) + field(a, 5, 5) + field(to, 5, 0)),
  negate: (to: Register, from: Register) =>
    word(`neg ${x(to)}, ${x(from)}`, 0xcb0003e0 + field(from, 5, 16) + field(to, 5, 0)),
  divide: (to: Register, a: Register, b: Register) =>
    word(`udiv ${x(to)}, ${x(a)}, ${x(b)}`, 0x9ac00800 + field(b, 5, 16) + field(a, 5, 5) + field(to, 5, 0)),
  /** to = minuend - a * b */
  multiplySubtract: (to: Register, a: Register, b: Register, minuend: Register) =>
    word(
      `msub ${x(to)}, ${x(a)}, ${x(b)}, ${x(minuend)}`,
      0x9b008000 + field(b, 5, 16) + field(minuend, 5, 10) + field(a, 5, 5) + field(to, 5, 0),
    ),
  compare: (a: Register, b: Register) =>
    word(`cmp ${x(a)}, ${x(b)}`, 0xeb000000 + field(b, 5, 16) + field(a, 5, 5) + ZERO),
  compareImmediate: compareWith('cmp', 0xf1000000),
  compareNegative: compareWith('cmn', 0xb1000000),
  load: (r: Register, size: Size, base: Register, offset: number) => transfer('load', r, size, base, offset),
  store: (size: Size, base: Register, offset: number, r: Register) => transfer('store', r, size, base, offset),
  addressOfLabel: (r: Register, label: string): Instruction => ({
    mnemonic: `adr ${x(r)}, ${label}`,
    size: 4,
    target: label,
    encode: (distance) => {
      const value = signed(distance, 21)
      return littleEndian(
        0x10000000 + field(value % 4, 2, 29) + field(Math.floor(value / 4), 19, 5) + field(r, 5, 0),
        4,
      )
    },
  }),
  jump: (label: string): Instruction => ({
    mnemonic: `b ${label}`,
    size: 4,
    target: label,
    encode: (distance) => littleEndian(0x14000000 + signed(distance / 4, 26), 4),
  }),
  jumpIf: (name: string, code: number, label: string): Instruction => ({
    mnemonic: `b.${name} ${label}`,
    size: 4,
    target: label,
    encode: (distance) => littleEndian(0x54000000 + field(signed(distance / 4, 19), 19, 5) + code, 4),
  }),
  jumpIfBit: (r: Register, bit: number, label: string): Instruction => ({
    mnemonic: `tbnz ${w(r)}, #${bit}, ${label}`,
    size: 4,
    target: label,
    encode: (distance) =>
      littleEndian(0x37000000 + field(bit, 5, 19) + field(signed(distance / 4, 14), 14, 5) + field(r, 5, 0), 4),
  }),
  supervisorCall: () => word('svc #0', 0xd4000001),
  return: () => word('ret', 0xd65f03c0),
} as const
const i = arm64Instructions

function lowerRow(row: MachineRow, variable: (name: string) => Register, frameSize: number): Instruction[] {
  const put = (to: Register, value: Value): Instruction[] => {
    if (typeof value === 'number') return putNumber(to, value)
    if (typeof value === 'string') return [i.move(to, variable(value))]
    return 'frame' in value ? [i.addImmediate(to, SP, value.frame)] : [i.addressOfLabel(to, value.label)]
  }
  const where = (place: Place): [Register, number] =>
    'frame' in place ? [SP, place.frame] : [variable(place.at), place.offset]

  switch (row[0]) {
    case 'call': {
      const [, name, ...values] = row
      const moves = values.flatMap((value, n) => put(n, value))
      return [...moves, ...putNumber(CALL, numberOf(name, 'arm64')), i.supervisorCall()]
    }
    case 'move':
      return put(variable(row[1]), row[2])
    case 'add': {
      const to = variable(row[1])
      if (typeof row[2] === 'string') return [i.add(to, to, variable(row[2]))]
      return [row[2] < 0 ? i.subImmediate(to, to, -row[2]) : i.addImmediate(to, to, row[2])]
    }
    case 'negate':
      return [i.negate(variable(row[1]), variable(row[1]))]
    case 'divide': {
      const [dividend, remainder] = [variable(row[1]), variable(row[2])]
      return [
        ...putNumber(SCRATCH, row[3]),
        i.divide(SECOND_SCRATCH, dividend, SCRATCH),
        i.multiplySubtract(remainder, SECOND_SCRATCH, SCRATCH, dividend),
        i.move(dividend, SECOND_SCRATCH),
      ]
    }
    case 'load':
      return [i.load(variable(row[1]), row[2], ...where(row[3]))]
    case 'store':
      return typeof row[3] === 'string'
        ? [i.store(row[1], ...where(row[2]), variable(row[3]))]
        : [...put(SCRATCH, row[3]), i.store(row[1], ...where(row[2]), SCRATCH)]
    case 'goto':
      return [i.jump(row[1])]
    case 'if': {
      const [, name, condition, value, label] = row
      const compare =
        typeof value === 'number'
          ? [value < 0 ? i.compareNegative(variable(name), -value) : i.compareImmediate(variable(name), value)]
          : [...put(SCRATCH, value), i.compare(variable(name), SCRATCH)]
      const [jump, code] = conditions[condition]
      return [...compare, i.jumpIf(jump, code, label)]
    }
    case 'ifBit':
      return [i.jumpIfBit(variable(row[1]), row[2], row[3])]
    case 'return':
      return [
        ...put(RESULT, row[1]),
        ...saved.map((r, n) => i.load(r, 8, SP, frameSize + 8 * n)),
        i.addImmediate(SP, SP, frameSize + SAVED),
        i.return(),
      ]
  }
}

/** One instruction for what fits 16 bits, a second one for the upper 16. */
function putNumber(to: Register, value: number): Instruction[] {
  if (value < 0) return [i.movn(to, -value - 1, 0)]
  const [lower, upper] = [value % 0x1_0000, Math.floor(value / 0x1_0000)]
  return upper === 0 ? [i.movz(to, lower, 0)] : [i.movz(to, lower, 0), i.movk(to, upper, 16)]
}
