// A whole static ELF64 executable around some machine code.
//
//   | file header, 64 | PT_LOAD, 56 | PT_GNU_STACK, 56 | code … |     loaded as one, readable and executable
//
// Source: elf(5).

const ET_EXEC = 2
const PT_LOAD = 1
const PT_GNU_STACK = 0x6474e551
const PF_X = 1
const PF_W = 2
const PF_R = 4
const HEADER = 64
const PROGRAM_HEADER = 56
/** Aligned for pages of up to 64 kB, which aarch64 kernels may have. */
const BASE = 0x400000
const ALIGNMENT = 0x10000

/** @param machine `e_machine`: 62 for x86-64, 183 for aarch64 */
export function elfExecutable(machine: number, code: Buffer): Buffer {
  const start = HEADER + 2 * PROGRAM_HEADER
  const image = Buffer.alloc(start + code.length)
  image.set([0x7f, 0x45, 0x4c, 0x46, 2 /* 64 bits */, 1 /* little endian */, 1 /* version */])
  image.writeUInt16LE(ET_EXEC, 16)
  image.writeUInt16LE(machine, 18)
  image.writeUInt32LE(1, 20)
  image.writeBigUInt64LE(BigInt(BASE + start), 24) // e_entry
  image.writeBigUInt64LE(BigInt(HEADER), 32) // e_phoff
  image.writeUInt16LE(HEADER, 52)
  image.writeUInt16LE(PROGRAM_HEADER, 54)
  image.writeUInt16LE(2, 56) // e_phnum
  programHeader(image, HEADER, PT_LOAD, PF_R | PF_X, BASE, image.length, ALIGNMENT)
  programHeader(image, HEADER + PROGRAM_HEADER, PT_GNU_STACK, PF_R | PF_W, 0, 0, 16)
  image.set(code, start)
  return image
}

function programHeader(
  image: Buffer,
  offset: number,
  type: number,
  flags: number,
  base: number,
  size: number,
  alignment: number,
): void {
  image.writeUInt32LE(type, offset)
  image.writeUInt32LE(flags, offset + 4)
  image.writeBigUInt64LE(0n, offset + 8) // p_offset
  image.writeBigUInt64LE(BigInt(base), offset + 16) // p_vaddr
  image.writeBigUInt64LE(BigInt(base), offset + 24) // p_paddr
  image.writeBigUInt64LE(BigInt(size), offset + 32) // p_filesz
  image.writeBigUInt64LE(BigInt(size), offset + 40) // p_memsz
  image.writeBigUInt64LE(BigInt(alignment), offset + 48)
}
