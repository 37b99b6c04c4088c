// System calls made by a thread of a stopped process. Afterwards the thread is as it was: the same registers, the same
// blocked signals, and the call that it was in is made again.
import { arch } from '../native/arch.js'
import { failedWith, SyscallError } from '../native/error.js'
import { rawSyscall } from '../native/ffi.js'
import { allocate, type Block } from '../native/memory.js'
import {
  ALL_SIGNALS_BUT_SIGTRAP,
  forgetSyscall,
  Registers,
  setSignalMask,
  signalMaskOf,
  step,
} from '../native/ptrace.js'
import { putCall, registerLayout, resultOf } from '../native/registers.js'
import { signalName } from '../native/signals.js'
import { numberOf, type SyscallName } from '../native/syscall-numbers.js'
import type { Fd } from '../native/types.js'
import { GraftError } from './error.js'
import type { StoppedProcess } from './stopped-process.js'

/** None of the calls blocks. */
const CALL_DEADLINE_MS = 1000
/** What is written and read at once. */
const ROOM = 512
const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22

/** Memory of ours in a process, for what calls read and write; it lasts from one stop to the next. */
export interface Scratch {
  /** Its address there, 0 as long as there is none. */
  address: number
}

export class RemoteCalls {
  private readonly saved = new Registers()
  private readonly work = new Registers()
  private readonly room: Block = allocate(ROOM)
  private mask: bigint | null = null
  private lost = false

  /**
   * Takes over the process's caller.
   * @param instruction the address of a system call instruction in it
   * @param memory its /proc/PID/mem, open for reading and writing
   * @throws GraftError `ended`, `other-machine`
   */
  constructor(
    private readonly process: StoppedProcess,
    private readonly instruction: number,
    private readonly memory: Fd,
    private readonly memoryThere: Scratch,
  ) {
    const tid = process.caller
    try {
      if (!this.saved.read(tid)) throw this.ended()
    } catch (error) {
      if (failedWith(error, 'ENOEXEC')) throw new GraftError('other-machine', process.pid, undefined, { cause: error })
      throw error
    }
    process.restartCall(tid, this.saved)
    this.mask = signalMaskOf(tid)
    // A signal in the midst would run its handler on our registers.
    if (this.mask === null || !setSignalMask(tid, ALL_SIGNALS_BUT_SIGTRAP)) throw this.ended()
  }

  /**
   * One system call. Numbers are what they are in that process: its descriptors, its addresses.
   * @throws SyscallError as the call failed there
   * @throws GraftError `ended`, `not-stopping`
   */
  call(name: SyscallName, ...args: number[]): number {
    const result = this.raw(name, args)
    if (result < 0) throw new SyscallError(name, -result, `in pid ${this.process.pid}`)
    return result
  }

  /** The same, for what may fail: the negative errno is returned. */
  raw(name: SyscallName, args: readonly number[]): number {
    this.work.copyFrom(this.saved)
    putCall(this.work.view, this.instruction, numberOf(name, arch), args)
    const tid = this.process.caller
    if (!this.work.write(tid)) throw this.ended()
    this.step()
    if (!this.work.read(tid)) throw this.ended()
    return resultOf(this.work.view)
  }

  /** Writes bytes where the process can read and change them. @returns their address there */
  give(bytes: Buffer, offset = 0): number {
    const at = this.scratch() + offset
    this.room.bytes.set(bytes)
    this.transfer('pwrite64', at, bytes.length)
    return at
  }

  /** The bytes there now. */
  look(offset: number, size: number): Buffer {
    this.transfer('pread64', this.scratch() + offset, size)
    return Buffer.from(this.room.bytes.subarray(0, size))
  }

  /** Puts the thread back as it was. Never throws: of a process that has ended nothing is left to put back. */
  end(): void {
    if (!this.lost) this.restore()
  }

  /** The address of memory of ours in it. */
  scratch(): number {
    const { memoryThere } = this
    if (memoryThere.address === 0)
      memoryThere.address = this.call('mmap', 0, ROOM, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
    return memoryThere.address
  }

  freeScratch(): void {
    if (this.memoryThere.address !== 0) this.raw('munmap', [this.memoryThere.address, ROOM])
    this.memoryThere.address = 0
  }

  private readonly restore = (): void => {
    const tid = this.process.caller
    this.saved.write(tid)
    if (registerLayout.interruptedCall === null) forgetSyscall(tid)
    if (this.mask !== null) setSignalMask(tid, this.mask)
  }

  private step(): void {
    const until = performance.now() + CALL_DEADLINE_MS
    for (;;) {
      if (!step(this.process.caller)) throw this.ended()
      const stop = this.process.awaitCaller(until)
      if (stop.kind === 'gone') throw this.ended()
      if (stop.kind === 'signal' && stop.signal === SIGTRAP) return
      if (stop.kind === 'late') {
        this.lost = true
        this.process.giveUpCaller(this.restore)
        throw new GraftError('not-stopping', this.process.pid)
      }
      if (stop.kind === 'signal' && stop.signal !== SIGSTOP)
        throw new GraftError('no-syscall-instruction', this.process.pid, signalName(stop.signal) ?? undefined)
      // It cannot be blocked, so it is put off.
      if (stop.kind === 'signal') this.process.owe(stop.signal)
    }
  }

  private ended(): GraftError {
    this.lost = true
    return new GraftError('ended', this.process.pid)
  }

  private transfer(name: 'pread64' | 'pwrite64', at: number, size: number): void {
    const result = rawSyscall(name, this.memory, this.room.address, size, at)
    if (result !== size) throw new SyscallError(name, Math.max(0, -result), `the memory of pid ${this.process.pid}`)
  }
}

const SIGTRAP = 5
const SIGSTOP = 19
