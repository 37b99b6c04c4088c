// The programs by name, as whole executables.
import type { Arch } from '../native/arch.js'
import { assemble, targets } from './assemble.js'
import { detach } from './detach.js'
import { elfExecutable } from './elf.js'
import { holder } from './holder.js'
import { isolate } from './isolate.js'
import { launcher } from './launcher.js'
import { prober } from './prober.js'
import type { Program } from './program.js'
import { pump } from './pump.js'
import { resolver } from './resolver.js'

export const programs = { holder, launcher, prober, resolver, isolate, detach } as const satisfies Record<
  string,
  Program
>
/** What this process calls itself. */
export const functions = { pump } as const satisfies Record<string, Program>
export type FunctionName = keyof typeof functions

export type ProgramName = keyof typeof programs

/** The bytes of a static ELF64 executable, a few hundred. */
export const imageOf = (name: ProgramName, arch: Arch): Buffer =>
  elfExecutable(targets[arch].machine, codeOf(programs[name], arch))

/** The machine code of one; it runs wherever it is loaded. */
export const codeOf = (program: Program, arch: Arch): Buffer =>
  Buffer.concat(assemble(program, arch).map(({ bytes }) => bytes))
