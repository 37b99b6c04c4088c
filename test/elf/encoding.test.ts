// Every instruction of our programs, and every instruction that the encoders know with every register, against GNU as;
// and some encodings by heart, for machines that have none.
import t from 'tap'
import { arm64Instructions as a } from '../../src/elf/arm64.js'
import { assemble } from '../../src/elf/assemble.js'
import { functions, programs } from '../../src/elf/image.js'
import type { Instruction } from '../../src/elf/instruction.js'
import { x64Instructions as x } from '../../src/elf/x64.js'
import type { Arch } from '../../src/native/arch.js'
import { arches, binutilsOf, gnuAssemble } from './machines.js'

for (const arch of arches) {
  const prefix = binutilsOf(arch)
  const skip = prefix === null && `there are no binutils for ${arch}`

  for (const [name, program] of Object.entries({ ...programs, ...functions })) {
    t.test(`each instruction of the ${name} for ${arch} is what GNU as makes of its mnemonic`, { skip }, async (t) => {
      const lines = assemble(program, arch)
      const text = lines.flatMap(({ labels, mnemonic }) => [...labels.map((label) => `${label}:`), mnemonic])
      const expected = gnuAssemble(arch, prefix ?? '', text)
      for (const { offset, mnemonic, bytes } of lines)
        t.equal(bytes.toString('hex'), expected.toString('hex', offset, offset + bytes.length), mnemonic)
      t.equal(
        lines.reduce((size, { bytes }) => size + bytes.length, 0),
        expected.length,
        'and nothing more',
      )
    })
  }

  t.test(
    `each instruction for ${arch} with each register and size of operand is what GNU as makes of it`,
    { skip },
    async (t) => {
      const instructions = sweep[arch]()
      const lines = instructions.flatMap(({ mnemonic }, i) => [...(i === 0 ? ['here:'] : []), mnemonic])
      const expected = gnuAssemble(arch, prefix ?? '', lines)
      const wrong: string[] = []
      let offset = 0
      for (const { mnemonic, size, encode } of instructions) {
        const ours = Buffer.from(encode(-offset)).toString('hex')
        const theirs = expected.toString('hex', offset, offset + size)
        if (ours !== theirs) wrong.push(`${mnemonic}: ${ours}, not ${theirs}`)
        offset += size
      }
      t.same(wrong, [])
      t.equal(offset, expected.length)
      t.ok(instructions.length > 300)
    },
  )
}

/** All instructions; jumps and addresses refer to the label `here` at the beginning. */
const sweep: Record<Arch, () => Instruction[]> = {
  x64() {
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
      'r12',
      'r13',
      'r14',
      'r15',
    ] as const
    const values = [0, 1, 2, 127, -1, -128]
    const wide = [128, 0x7fff_ffff, -129, -0x8000_0000]
    return [
      x.syscall(),
      x.return(),
      x.jump('here'),
      ...(['je', 'jne', 'jl', 'jle', 'jb', 'jc'] as const).map((name, i) =>
        x.jumpIf(name, [0x4, 0x5, 0xc, 0xe, 0x2, 0x2][i] ?? 0, 'here'),
      ),
      ...registers.flatMap((r) => [
        ...[...values, ...wide, 0xffff_ffff].map((value) => x.moveImmediate(r, value)),
        // GNU as has a shorter form for rax and values of 32 bits, which our programs do not need.
        ...[...values, ...(r === 'rax' ? [] : wide)].flatMap((value) => [
          x.addImmediate(r, value),
          x.subImmediate(r, value),
          x.compareImmediate(r, value),
        ]),
        x.negate(r),
        x.divide(r),
        x.bitTest(r, 5),
        x.addressOfLabel(r, 'here'),
        ...registers.flatMap((other) => [
          x.move(r, other),
          x.add(r, other),
          x.compare(r, other),
          ...[0, 8, 127, 128].flatMap((displacement) => [
            x.addressOf(r, other, displacement),
            ...([1, 4, 8] as const).flatMap((size) => [
              x.load(r, size, other, displacement),
              x.store(size, other, displacement, r),
            ]),
          ]),
        ]),
      ]),
    ]
  },
  arm64() {
    const registers = [0, 1, 8, 9, 19, 24, 30]
    const SP = 31
    return [
      a.supervisorCall(),
      a.return(),
      a.jump('here'),
      ...(['eq', 'ne', 'lt', 'le', 'lo'] as const).map((name, i) => a.jumpIf(name, [0, 1, 11, 13, 3][i] ?? 0, 'here')),
      ...registers.flatMap((r) => [
        ...[0, 1, 0xffff].flatMap((value) => [a.movz(r, value, 0), a.movn(r, value, 0), a.movk(r, value, 16)]),
        ...[0, 1, 4095].flatMap((value) => [
          a.addImmediate(r, SP, value),
          a.subImmediate(SP, SP, value),
          a.compareImmediate(r, value),
          a.compareNegative(r, value),
        ]),
        a.addressOfLabel(r, 'here'),
        ...[0, 5, 31].map((bit) => a.jumpIfBit(r, bit, 'here')),
        ...[...registers, SP].flatMap((base) =>
          ([1, 4, 8] as const).flatMap((size) =>
            [0, size, 4095 * size].flatMap((offset) => [a.load(r, size, base, offset), a.store(size, base, offset, r)]),
          ),
        ),
        ...registers.flatMap((other) => [
          a.move(r, other),
          a.negate(r, other),
          a.compare(r, other),
          a.add(r, other, 9),
          a.divide(r, other, 9),
          a.multiplySubtract(r, other, 9, 10),
        ]),
      ]),
    ]
  },
}

const known: readonly (readonly [string, Instruction, number, string])[] = [
  ['x64', x.moveImmediate('rdi', 2), 0, 'bf02000000'],
  ['x64', x.moveImmediate('r10', -1), 0, '49c7c2ffffffff'],
  ['x64', x.move('rdi', 'rbx'), 0, '4889df'],
  ['x64', x.addressOf('rsi', 'rsp', 96), 0, '488d742460'],
  ['x64', x.load('r13', 1, 'r12', 0), 0, '450fb62c24'],
  ['x64', x.store(4, 'rsp', 100, 'r15'), 0, '44897c2464'],
  ['x64', x.compareImmediate('rbx', 16), 0, '4883fb10'],
  ['x64', x.jumpIf('jne', 5, 'there'), 0x106, '0f8500010000'],
  ['x64', x.syscall(), 0, '0f05'],
  ['arm64', a.movz(8, 212, 0), 0, '881a80d2'],
  ['arm64', a.movn(20, 8, 0), 0, '14018092'],
  ['arm64', a.move(0, 19), 0, 'e00313aa'],
  ['arm64', a.load(21, 4, 31, 120), 0, 'f57b40b9'],
  ['arm64', a.compareImmediate(19, 16), 0, '7f4200f1'],
  ['arm64', a.jumpIf('ne', 1, 'there'), 8, '41000054'],
  ['arm64', a.jump('there'), -4, 'ffffff17'],
  ['arm64', a.supervisorCall(), 0, '010000d4'],
]
for (const [arch, instruction, distance, expected] of known)
  t.test(`${arch}: ${instruction.mnemonic} is ${expected}`, async (t) => {
    t.equal(Buffer.from(instruction.encode(distance)).toString('hex'), expected)
    t.equal(instruction.size, expected.length / 2)
  })

t.test('what an instruction has no room for is refused', async (t) => {
  t.throws(() => a.addImmediate(0, 0, 4096), RangeError)
  t.throws(() => a.load(0, 4, 0, 2), RangeError, 'an offset between two words')
  t.throws(() => a.jumpIf('eq', 0, 'far').encode(2 ** 21), RangeError)
})

t.test('a program with an unknown label, variable or a label twice is refused', async (t) => {
  const program = { name: 'wrong', variables: ['a'], frameSize: 16 }
  for (const arch of arches) {
    t.throws(() => assemble({ ...program, rows: [['goto', 'nowhere']] }, arch), /no label nowhere/)
    t.throws(() => assemble({ ...program, rows: [['move', 'b', 1]] }, arch), /no variable b/)
    t.throws(
      () =>
        assemble(
          {
            ...program,
            rows: [
              ['label', 'l'],
              ['label', 'l'],
            ],
          },
          arch,
        ),
      /two labels l/,
    )
    t.throws(() => assemble({ ...program, variables: [...'abcdefg'], rows: [] }, arch), /too many variables/)
  }
})
