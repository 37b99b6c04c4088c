// A program and an architecture make machine code: lowers each row, gives every label its address and every instruction
// the distance to its label.
import type { Arch } from '../native/arch.js'
import { arm64 } from './arm64.js'
import { fixed, type Instruction, type Target } from './instruction.js'
import type { Program } from './program.js'
import { x64 } from './x64.js'

export const targets = { x64, arm64 } as const satisfies Record<Arch, Target>

/** One instruction at its place. */
export interface Line {
  /** Labels that name this place. */
  readonly labels: readonly string[]
  readonly offset: number
  readonly mnemonic: string
  readonly bytes: Buffer
}

/**
 * The machine code of a program, one line an instruction; it runs wherever it is loaded.
 * @throws RangeError on a program that is wrong in itself: an unknown label or variable, a number that does not fit
 */
export function assemble(program: Program, arch: Arch): Line[] {
  const { instructions, labels } = lower(program, targets[arch])
  const offsets: number[] = []
  let end = 0
  for (const { size } of instructions) {
    offsets.push(end)
    end += size
  }
  const offsetOf = (label: string): number => {
    const index = labels.get(label)
    if (index === undefined) throw new RangeError(`${program.name} has no label ${label}`)
    return offsets[index] ?? end
  }
  return instructions.map(({ mnemonic, target, encode }, index) => {
    const offset = offsets[index] ?? end
    return {
      labels: [...labels].filter(([, at]) => at === index).map(([name]) => name),
      offset,
      mnemonic,
      bytes: Buffer.from(encode(target === undefined ? 0 : offsetOf(target) - offset)),
    }
  })
}

/** The instructions in order, and for each label the index of the one that follows it. */
function lower(program: Program, target: Target): { instructions: Instruction[]; labels: Map<string, number> } {
  if (program.variables.length > target.variables) throw new RangeError(`${program.name} has too many variables`)
  const variableOf = (name: string): number => {
    const index = program.variables.indexOf(name)
    if (index < 0) throw new RangeError(`${program.name} has no variable ${name}`)
    return index
  }
  const { frameSize, isFunction } = program
  const instructions = isFunction ? target.enter(frameSize) : target.reserve(frameSize)
  const labels = new Map<string, number>()
  for (const row of program.rows) {
    if (row[0] === 'label') {
      if (labels.has(row[1])) throw new RangeError(`${program.name} has two labels ${row[1]}`)
      labels.set(row[1], instructions.length)
    } else if (row[0] === 'data') instructions.push(fixed(`.byte ${[...row[1]].join(', ')}`, [...row[1]]))
    else instructions.push(...target.lower(row, variableOf, frameSize))
  }
  return { instructions, labels }
}
