// The general registers of a stopped thread as PTRACE_GETREGSET(NT_PRSTATUS) gives them, and how a system call stands in
// them. One row an architecture; offsets are those of the kernel's structs in bytes.
// Source: user_regs_struct (arch/x86/include/asm/user_64.h), user_pt_regs (arch/arm64/include/uapi/asm/ptrace.h).
import { type Arch, arch } from './arch.js'

export interface RegisterLayout {
  /** Of the struct. A 32-bit task has another size, by which it is told. */
  readonly size: number
  /** Where the program goes on. */
  readonly instructionPointer: number
  /** The number of the system call that is to be made. */
  readonly callNumber: number
  readonly callArguments: readonly number[]
  readonly callResult: number
  readonly stackPointer: number
  /**
   * The number of the system call that the thread was in, -1 for none: when it goes on, the kernel makes that call again if
   * its result is one of the restarts. Null where that is not one of these registers.
   */
  readonly interruptedCall: number | null
  /** The machine code of a system call. */
  readonly syscallInstruction: Buffer
  /** Where instructions may begin, in bytes. */
  readonly alignment: number
  /**
   * Calls that end with EINTR when a tracer stops them, though no signal came, and that can be made again as they are.
   * Source: signal(7), "Interruption of system calls and library functions by stop signals".
   */
  readonly interruptible: ReadonlySet<number>
}

export const registerLayouts = {
  x64: {
    size: 216,
    instructionPointer: 128,
    callNumber: 80,
    callArguments: [112, 104, 96, 56, 72, 64],
    callResult: 80,
    stackPointer: 152,
    interruptedCall: 120,
    syscallInstruction: Buffer.from([0x0f, 0x05]),
    alignment: 1,
    // semop, rt_sigtimedwait, semtimedop, epoll_wait, epoll_pwait, epoll_pwait2
    interruptible: new Set([65, 128, 220, 232, 281, 441]),
  },
  arm64: {
    size: 272,
    instructionPointer: 256,
    callNumber: 64,
    callArguments: [0, 8, 16, 24, 32, 40],
    callResult: 0,
    stackPointer: 248,
    // It is a register set of its own (NT_ARM_SYSTEM_CALL), and the kernel has wound the program counter back already.
    interruptedCall: null,
    syscallInstruction: Buffer.from([0x01, 0x00, 0x00, 0xd4]),
    alignment: 4,
    // epoll_pwait, rt_sigtimedwait, semtimedop, semop, epoll_pwait2
    interruptible: new Set([22, 137, 192, 193, 441]),
  },
} as const satisfies Record<Arch, RegisterLayout>

/** Of the machine we run on. */
export const registerLayout: RegisterLayout = registerLayouts[arch]

const NONE = -1n
const EINTR = 4n
/** A restart that a signal handler turns into EINTR. Source: include/linux/errno.h. */
const ERESTARTNOHAND = 514n

/** Makes registers those of a thread that is about to make a system call at `instruction`. */
export function putCall(
  registers: DataView,
  instruction: number,
  number: number,
  args: readonly number[],
  layout: RegisterLayout = registerLayout,
): void {
  for (const [i, offset] of layout.callArguments.entries()) registers.setBigInt64(offset, BigInt(args[i] ?? 0), true)
  registers.setBigInt64(layout.callNumber, BigInt(number), true)
  registers.setBigInt64(layout.instructionPointer, BigInt(instruction), true)
  if (layout.interruptedCall !== null) registers.setBigInt64(layout.interruptedCall, NONE, true)
}

/** What the call returned, a negative errno included. */
export const resultOf = (registers: DataView, layout: RegisterLayout = registerLayout): number =>
  Number(registers.getBigInt64(layout.callResult, true))

/**
 * Hides the stop from a call that would end with EINTR by it: it is made again. If a signal came as well, the kernel makes
 * EINTR of it as ever. Where `interruptedCall` is null, it goes on after the signal's handler instead, and a call that began
 * only between the look and the stop ends with EINTR.
 * @param waitedIn the call that the thread waited in just before the stop, as proc_pid_syscall(5) has it: number, arguments,
 * stack pointer, instruction pointer. Needed where `interruptedCall` is null: the result stands in the place of the first
 * argument there
 * @returns true if the registers were changed
 */
export function restartInterrupted(
  registers: DataView,
  waitedIn: readonly number[],
  layout: RegisterLayout = registerLayout,
): boolean {
  if (registers.getBigInt64(layout.callResult, true) !== -EINTR) return false
  if (layout.interruptedCall === null) return rewind(registers, waitedIn, layout)
  if (!layout.interruptible.has(Number(registers.getBigInt64(layout.interruptedCall, true)))) return false
  registers.setBigInt64(layout.callResult, -ERESTARTNOHAND, true)
  return true
}

/** Puts the thread where it makes its call, if it comes from that and from no other. */
function rewind(registers: DataView, waitedIn: readonly number[], layout: RegisterLayout): boolean {
  const [number = -1, first = 0, ...others] = waitedIn
  if (!layout.interruptible.has(number)) return false
  const { callNumber, callArguments, stackPointer, instructionPointer, syscallInstruction } = layout
  const offsets = [...callArguments.slice(1), stackPointer, instructionPointer]
  const read = (offset: number): number => Number(registers.getBigUint64(offset, true))
  if (read(callNumber) !== number || offsets.some((offset, i) => read(offset) !== others[i])) return false
  registers.setBigInt64(callArguments[0] ?? 0, BigInt(first), true)
  registers.setBigInt64(instructionPointer, BigInt(read(instructionPointer) - syscallInstruction.length), true)
  return true
}
