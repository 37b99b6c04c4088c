// The relay's innermost loop: writes what is to be written and brings the next message, in one call of machine code; where
// that can't be had, in as many system calls as it takes.
import { BLOCK_SIZE, block, outcomes, POLLED_COUNT } from '../../elf/pump.js'
import { callable, rawSyscall } from '../../native/ffi.js'
import { allocate } from '../../native/memory.js'

export { outcomes } from '../../elf/pump.js'

type Word = keyof typeof block

const WORD = 8
const HALF = 0x1_0000_0000
const POLLFD = 8
const EAGAIN = 11
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000

export class Pump {
  /** One step; one of `outcomes`. */
  readonly run: () => number
  private readonly block = allocate(BLOCK_SIZE)
  private readonly words = new Int32Array(this.block.bytes.buffer)
  private readonly polled = allocate(POLLED_COUNT * POLLFD)

  /** @param code where the machine code is mapped, or null */
  constructor(code: number | null) {
    this.set('polled', this.polled.address)
    this.run = code === null ? () => this.plain() : callable(code, this.block.address)
  }

  set(word: Word, value: number): void {
    const at = block[word] / (WORD / 2)
    this.words[at] = value | 0
    this.words[at + 1] = Math.floor(value / HALF)
  }

  /** The lower half, signed. */
  get(word: Word): number {
    return this.words[block[word] / (WORD / 2)] ?? 0
  }

  /** What a sleep waits for: an fd, or -1. */
  watch(index: number, fd: number, events: number): void {
    this.polled.view.setInt32(POLLFD * index, fd, true)
    this.polled.view.setUint32(POLLFD * index + 4, events, true)
  }

  /** What the last sleep found. */
  found(index: number): number {
    return this.polled.view.getUint16(POLLFD * index + 6, true)
  }

  /** The same as the machine code, see src/elf/pump.ts. */
  private plain(): number {
    const out = this.get('out')
    if (out >= 0) {
      this.set('out', -1)
      const [address, length] = [this.wide('outAddress'), this.get('outLength')]
      const written =
        this.get('outIsSocket') === 0
          ? rawSyscall('write', out, address, length)
          : rawSyscall('sendto', out, address, length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0)
      this.set('length', written)
      if (written < 0) return outcomes.refused
    }
    for (let rounds = this.get('rounds'); ; ) {
      this.set('rounds', Math.max(0, rounds))
      if (this.reads('socket', 'replyAddress', 'replySize')) return outcomes.reply
      if (this.reads('channel', 'requestAddress', 'requestSize')) return outcomes.request
      if (--rounds > 0) {
        rawSyscall('sched_yield')
        continue
      }
      this.set('rounds', 0)
      const count = rawSyscall('ppoll', this.polled.address, POLLED_COUNT, 0, 0, 0)
      this.set('length', count)
      if (count <= 0) return outcomes.woken
      for (let i = 2; i < POLLED_COUNT; i++) if (this.found(i) !== 0) return outcomes.woken
    }
  }

  private reads(fd: Word, address: Word, size: Word): boolean {
    const from = this.get(fd)
    if (from < 0) return false
    const length = rawSyscall('read', from, this.wide(address), this.get(size))
    if (length === -EAGAIN) return false
    this.set('length', length)
    return true
  }

  private wide(word: Word): number {
    const at = block[word] / (WORD / 2)
    return (this.words[at + 1] ?? 0) * HALF + ((this.words[at] ?? 0) >>> 0)
  }
}
