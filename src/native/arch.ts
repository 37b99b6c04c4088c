// The architecture, chosen once. Nothing else in keepmount reads process.arch; everything that differs between
// x86-64 and aarch64 is a column of a table here or of the assembler's tables in src/elf.

export type Arch = 'x64' | 'arm64'

/** The architecture this process runs on. Throws at import on any other than x64 and arm64. */
export const arch: Arch = supported(process.arch)

function supported(name: string): Arch {
  if (name === 'x64' || name === 'arm64') return name
  throw new Error(`keepmount runs on x64 and arm64 only, and this is ${name}`)
}
