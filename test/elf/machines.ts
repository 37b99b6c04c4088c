// What there is on this machine to check and to run our programs with: a GNU assembler for each architecture, and a way
// to run a program of each: by itself, or under qemu-user.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Arch, arch as ours } from '../../src/native/arch.js'

export const arches: readonly Arch[] = ['x64', 'arm64']

const assemblers = {
  x64: { names: ['x86_64-linux-gnu-', ''], prologue: '.intel_syntax noprefix\n' },
  arm64: { names: ['aarch64-linux-gnu-', ''], prologue: '' },
} as const
const machineNames = { x64: /x86[-_]64/, arm64: /aarch64/ } as const

/** The prefix of the binutils for an architecture; null if there are none. */
export function binutilsOf(arch: Arch): string | null {
  const found = assemblers[arch].names.find((prefix) => {
    const { stdout } = spawnSync(`${prefix}as`, ['--version'], { encoding: 'utf8' })
    return machineNames[arch].test(stdout ?? '') && spawnSync(`${prefix}objcopy`, ['--version']).status === 0
  })
  return found ?? null
}

/** What GNU as makes of this text. @throws with its own words */
export function gnuAssemble(arch: Arch, prefix: string, lines: readonly string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'keepmount-as-'))
  try {
    const [source, object, binary] = ['s', 'o', 'bin'].map((end) => join(folder, `program.${end}`)) as [
      string,
      string,
      string,
    ]
    writeFileSync(source, `${assemblers[arch].prologue}${lines.join('\n')}\n`)
    for (const [command, ...args] of [
      [`${prefix}as`, '-o', object, source],
      [`${prefix}objcopy`, '-O', 'binary', '-j', '.text', object, binary],
    ] as const) {
      const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
      if (status !== 0) throw new Error(`${command}: ${stderr}`)
    }
    return readFileSync(binary)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What to put before the path of a program of this architecture; null if it cannot be run here. */
export function runnerOf(arch: Arch): readonly string[] | null {
  if (arch === ours) return []
  const qemu = { x64: 'qemu-x86_64', arm64: 'qemu-aarch64' }[arch]
  return spawnSync(qemu, ['--version']).status === 0 ? [qemu] : null
}
