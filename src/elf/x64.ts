// x86-64: the encodings of the instructions that our programs need, and how a portable row becomes some of them.
// Source: Intel SDM volume 2; the system call convention of syscall(2): rax, then rdi rsi rdx r10 r8 r9; rcx and r11 are lost.
import { numberOf } from '../native/syscall-numbers.js'
import { fixed, type Instruction, littleEndian, type MachineRow, type Target } from './instruction.js'
import type { Condition, Place, Size, Value } from './program.js'

const registers = [
  'rax',
  'rcx',
  'rdx',
  'rbx',
  'rsp',
  'rbp',
  'rsi',
  'rdi',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
] as const
type Register = (typeof registers)[number]

const variables = ['rbx', 'rbp', 'r12', 'r13', 'r14', 'r15'] as const satisfies Register[]
const callArguments = ['rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'] as const satisfies Register[]
const result = 'rax' satisfies Register
const scratch = 'rcx' satisfies Register
const SAVED = 8 * variables.length

export const x64: Target = {
  machine: 62,
  variables: variables.length,
  reserve: (frameSize) => [x64Instructions.subImmediate('rsp', frameSize)],
  enter: (frameSize) => [
    x64Instructions.subImmediate('rsp', frameSize + SAVED),
    ...variables.map((r, n) => x64Instructions.store(8, 'rsp', frameSize + 8 * n, r)),
    x64Instructions.move(variables[0], callArguments[0]),
  ],
  lower: (row, variableOf, frameSize) =>
    lowerRow(row, (name) => (name === 'result' ? result : pick(variables, variableOf(name))), frameSize),
}

const codeOf = (register: Register): number => registers.indexOf(register)
const low = (register: Register): number => codeOf(register) & 7
const high = (register: Register): number => codeOf(register) >> 3
const name32 = (r: Register): string => (high(r) ? `${r}d` : `e${r.slice(1)}`)
const byteNames = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil']
const name8 = (r: Register): string => byteNames[codeOf(r)] ?? `${r}b`
const sized = { 1: ['byte', name8], 4: ['dword', name32], 8: ['qword', (r: Register) => r] } as const

/** The REX prefix: operand of 64 bits, and the fourth bits of the register and the base (or only operand). */
const rex = (wide: boolean, reg: number, base: number, always = false): number[] =>
  wide || reg || base || always ? [0x40 | (wide ? 8 : 0) | (reg << 2) | base] : []
const isByte = (value: number): boolean => value >= -128 && value <= 127

/** ModRM, SIB and displacement of `[base + displacement]`, in the shortest form. */
function memory(reg: number, base: Register, displacement: number): number[] {
  const mode = displacement === 0 && low(base) !== 5 ? 0 : isByte(displacement) ? 1 : 2
  const sib = low(base) === 4 ? [0x24] : []
  return [(mode << 6) | (reg << 3) | low(base), ...sib, ...littleEndian(displacement, [0, 1, 4][mode] ?? 0)]
}
const bracket = (base: Register, displacement: number): string => `[${base}${displacement ? `+${displacement}` : ''}]`
const direct = (reg: number, operand: Register): number => 0xc0 | (reg << 3) | low(operand)

/** add, sub and cmp with an immediate: one opcode, told apart by the middle bits of ModRM. */
const arithmetic = (name: string, digit: number) => (r: Register, value: number) =>
  fixed(
    `${name} ${r}, ${value}`,
    isByte(value)
      ? [...rex(true, 0, high(r)), 0x83, direct(digit, r), ...littleEndian(value, 1)]
      : [...rex(true, 0, high(r)), 0x81, direct(digit, r), ...littleEndian(value, 4)],
  )
const twoRegisters = (name: string, opcode: number) => (to: Register, from: Register) =>
  fixed(`${name} ${to}, ${from}`, [...rex(true, high(from), high(to)), opcode, direct(low(from), to)])

const conditions = {
  '==': ['je', 0x4],
  '!=': ['jne', 0x5],
  '<': ['jl', 0xc],
  '<=': ['jle', 0xe],
  below: ['jb', 0x2],
} as const satisfies Record<Condition, readonly [string, number]>

/** One function an instruction. */
export const x64Instructions = {
  moveImmediate: (r: Register, value: number) =>
    value < 0
      ? fixed(`mov ${r}, ${value}`, [...rex(true, 0, high(r)), 0xc7, direct(0, r), ...littleEndian(value, 4)])
      : fixed(`mov ${name32(r)}, ${value}`, [...rex(false, 0, high(r)), 0xb8 | low(r), ...littleEndian(value, 4)]),
  move: twoRegisters('mov', 0x89),
  add: twoRegisters('add', 0x01),
  compare: twoRegisters('cmp', 0x39),
  addImmediate: arithmetic('add', 0),
  subImmediate: arithmetic('sub', 5),
  compareImmediate: arithmetic('cmp', 7),
  negate: (r: Register) => fixed(`neg ${r}`, [...rex(true, 0, high(r)), 0xf7, direct(3, r)]),
  /** rdx:rax by a register: the quotient in rax, the remainder in rdx. */
  divide: (by: Register) => fixed(`div ${by}`, [...rex(true, 0, high(by)), 0xf7, direct(6, by)]),
  /** Puts a bit into the carry flag. */
  bitTest: (r: Register, bit: number) =>
    fixed(`bt ${name32(r)}, ${bit}`, [...rex(false, 0, high(r)), 0x0f, 0xba, direct(4, r), bit]),
  addressOf: (r: Register, base: Register, displacement: number) =>
    fixed(`lea ${r}, ${bracket(base, displacement)}`, [
      ...rex(true, high(r), high(base)),
      0x8d,
      ...memory(low(r), base, displacement),
    ]),
  load: (r: Register, size: Size, base: Register, displacement: number) =>
    fixed(
      `${size === 1 ? 'movzx' : 'mov'} ${size === 8 ? r : name32(r)}, ${sized[size][0]} ptr ${bracket(base, displacement)}`,
      [
        ...rex(size === 8, high(r), high(base)),
        ...(size === 1 ? [0x0f, 0xb6] : [0x8b]),
        ...memory(low(r), base, displacement),
      ],
    ),
  store: (size: Size, base: Register, displacement: number, r: Register) =>
    fixed(`mov ${sized[size][0]} ptr ${bracket(base, displacement)}, ${sized[size][1](r)}`, [
      ...rex(size === 8, high(r), high(base), size === 1 && codeOf(r) >= 4),
      size === 1 ? 0x88 : 0x89,
      ...memory(low(r), base, displacement),
    ]),
  addressOfLabel: (r: Register, label: string): Instruction => ({
    mnemonic: `lea ${r}, [rip+${label}]`,
    size: 7,
    target: label,
    encode: (distance) => [...rex(true, high(r), 0), 0x8d, (low(r) << 3) | 5, ...littleEndian(distance - 7, 4)],
  }),
  jump: (label: string): Instruction => ({
    mnemonic: `{disp32} jmp ${label}`,
    size: 5,
    target: label,
    encode: (distance) => [0xe9, ...littleEndian(distance - 5, 4)],
  }),
  jumpIf: (name: string, code: number, label: string): Instruction => ({
    mnemonic: `{disp32} ${name} ${label}`,
    size: 6,
    target: label,
    encode: (distance) => [0x0f, 0x80 | code, ...littleEndian(distance - 6, 4)],
  }),
  syscall: () => fixed('syscall', [0x0f, 0x05]),
  return: () => fixed('ret', [0xc3]),
} as const
const i = x64Instructions

function lowerRow(row: MachineRow, variable: (name: string) => Register, frameSize: number): Instruction[] {
  const put = (to: Register, value: Value): Instruction => {
    if (typeof value === 'number') return i.moveImmediate(to, value)
    if (typeof value === 'string') return i.move(to, variable(value))
    return 'frame' in value ? i.addressOf(to, 'rsp', value.frame) : i.addressOfLabel(to, value.label)
  }
  const where = (place: Place): [Register, number] =>
    'frame' in place ? ['rsp', place.frame] : [variable(place.at), place.offset]

  switch (row[0]) {
    case 'call': {
      const [, name, ...values] = row
      const moves = values.map((value, n) => put(pick(callArguments, n), value))
      return [...moves, i.moveImmediate('rax', numberOf(name, 'x64')), i.syscall()]
    }
    case 'move':
      return [put(variable(row[1]), row[2])]
    case 'add':
      return typeof row[2] === 'number'
        ? [i.addImmediate(variable(row[1]), row[2])]
        : [i.add(variable(row[1]), variable(row[2]))]
    case 'negate':
      return [i.negate(variable(row[1]))]
    case 'divide':
      return [
        i.move('rax', variable(row[1])),
        i.moveImmediate('rdx', 0),
        i.moveImmediate(scratch, row[3]),
        i.divide(scratch),
        i.move(variable(row[1]), 'rax'),
        i.move(variable(row[2]), 'rdx'),
      ]
    case 'load':
      return [i.load(variable(row[1]), row[2], ...where(row[3]))]
    case 'store':
      return typeof row[3] === 'string'
        ? [i.store(row[1], ...where(row[2]), variable(row[3]))]
        : [put(scratch, row[3]), i.store(row[1], ...where(row[2]), scratch)]
    case 'goto':
      return [i.jump(row[1])]
    case 'if': {
      const [, name, condition, value, label] = row
      const compare =
        typeof value === 'number'
          ? [i.compareImmediate(variable(name), value)]
          : [put(scratch, value), i.compare(variable(name), scratch)]
      const [jump, code] = conditions[condition]
      return [...compare, i.jumpIf(jump, code, label)]
    }
    case 'ifBit':
      return [i.bitTest(variable(row[1]), row[2]), i.jumpIf('jc', 0x2, row[3])]
    case 'return':
      return [
        put(result, row[1]),
        ...variables.map((r, n) => i.load(r, 8, 'rsp', frameSize + 8 * n)),
        i.addImmediate('rsp', frameSize + SAVED),
        i.return(),
      ]
  }
}

function pick(from: readonly Register[], index: number): Register {
  const register = from[index]
  if (register === undefined) throw new RangeError(`x86-64 has no register for operand ${index}`)
  return register
}
