// Threads of other processes, stopped and let go; and the registers of both architectures.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Arch } from '../../src/native/arch.js'
import {
  ALL_SIGNALS_BUT_SIGTRAP,
  awaitStop,
  detach,
  interrupt,
  Registers,
  resume,
  seize,
  setSignalMask,
  signalMaskOf,
} from '../../src/native/ptrace.js'
import { putCall, registerLayouts, restartInterrupted, resultOf } from '../../src/native/registers.js'
import type { Tid } from '../../src/native/types.js'
import { binutilsOf, gnuAssemble } from '../elf/machines.js'
import { Child } from '../fixtures/child.js'
import { until } from '../fixtures/deadline.js'

const arches: readonly Arch[] = ['x64', 'arm64']
const soon = () => performance.now() + 5000

async function cat(t: Test): Promise<{ child: Child; tid: Tid }> {
  const child = new Child(['cat'])
  t.teardown(() => child.kill())
  child.process.stdin?.write('begun\n')
  await child.says(/begun/)
  return { child, tid: child.pid as Tid }
}
const statusOf = (tid: Tid, name: string): string =>
  new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${tid}/status`, 'utf8'))?.[1] ?? ''

t.test('a thread is stopped in its read, looked at and let go', async (t) => {
  const { child, tid } = await cat(t)
  t.equal(seize(tid), true)
  t.equal(interrupt(tid), true)
  t.same(awaitStop(tid, soon(), false), { kind: 'event' })
  t.match(statusOf(tid, 'State'), /^t/, 'it is stopped by its tracer')
  const registers = new Registers()
  t.equal(registers.read(tid), true)
  t.equal(registers.write(tid), true)
  const mask = signalMaskOf(tid)
  t.equal(mask, BigInt(`0x${statusOf(tid, 'SigBlk')}`))
  setSignalMask(tid, ALL_SIGNALS_BUT_SIGTRAP)
  t.equal(statusOf(tid, 'SigBlk'), 'fffffffffffbfeef', 'all but SIGKILL, SIGSTOP and SIGTRAP')
  setSignalMask(tid, mask ?? 0n)
  t.equal(detach(tid), true)
  t.equal(statusOf(tid, 'TracerPid'), '0')
  child.process.stdin?.end('still here')
  await child.says(/still here/)
  t.match(await child.end(), { code: 0 }, 'its parent reaps it')
})

t.test('a signal that arrives is seen, and delivered or kept from it', async (t) => {
  const { child, tid } = await cat(t)
  seize(tid)
  process.kill(tid, 'SIGUSR1')
  t.same(awaitStop(tid, soon(), false), { kind: 'signal', signal: 10 })
  t.equal(resume(tid), true)
  process.kill(tid, 'SIGTERM')
  t.same(awaitStop(tid, soon(), false), { kind: 'signal', signal: 15 })
  t.equal(detach(tid, 15), true)
  t.match(await child.end(), { signal: 'SIGTERM' })
})

t.test('a thread that does not stop is late, one that has ended is gone', async (t) => {
  const { child, tid } = await cat(t)
  t.equal(seize(0x7ffffff0 as Tid), false)
  t.throws(() => seize(process.pid as Tid), { syscall: 'ptrace(PTRACE_SEIZE)', code: 'EPERM' })
  seize(tid)
  t.same(awaitStop(tid, performance.now(), false), { kind: 'late' })
  t.equal(detach(tid), false, 'what runs cannot be let go')
  child.process.kill('SIGKILL')
  t.same(awaitStop(tid, soon(), false), { kind: 'gone' })
  t.match(await child.end(), { signal: 'SIGKILL' }, 'and is still its parent’s to reap')
  await until(() => interrupt(tid) === false, 'an end')
})

for (const arch of arches) {
  const layout = registerLayouts[arch]
  t.test(`the registers of ${arch} lie apart from each other and within the struct`, async (t) => {
    const offsets: number[] = [...layout.callArguments, layout.callNumber, layout.instructionPointer]
    if (layout.interruptedCall !== null) offsets.push(layout.interruptedCall)
    t.equal(new Set(offsets).size, offsets.length)
    t.ok(offsets.every((offset) => offset % 8 === 0 && offset + 8 <= layout.size))
  })

  t.test(`a call of ${arch} is put where the kernel looks for it`, async (t) => {
    const view = new DataView(new ArrayBuffer(layout.size))
    putCall(view, 0x7fff_1234_5678, 438, [1, -1, 0x7f00_0000_1000], layout)
    const read = (offset: number) => view.getBigInt64(offset, true)
    t.equal(read(layout.callNumber), 438n)
    t.equal(read(layout.instructionPointer), 0x7fff_1234_5678n)
    t.same(layout.callArguments.map(read), [1n, -1n, 0x7f00_0000_1000n, 0n, 0n, 0n])
    if (layout.interruptedCall !== null) t.equal(read(layout.interruptedCall), -1n, 'no call is made again')
    view.setBigInt64(layout.callResult, -9n, true)
    t.equal(resultOf(view, layout), -9)
  })

  const prefix = binutilsOf(arch)
  t.test(`GNU as makes the system call of ${arch}`, { skip: prefix === null && 'no binutils' }, async (t) => {
    const line = { x64: 'syscall', arm64: 'svc #0' }[arch]
    t.same(gnuAssemble(arch, prefix ?? '', [line]), layout.syscallInstruction)
  })
}

t.test('by its number and result, a call is made again or not', async (t) => {
  const { callResult, interruptedCall, size } = registerLayouts.x64
  for (const [what, number, result, expected] of [
    ['epoll_wait that was interrupted', 232, -4n, -514n],
    ['epoll_wait that found something', 232, 1n, 1n],
    ['read that was interrupted by a signal', 0, -4n, -4n],
    ['read that the kernel makes again by itself', 0, -512n, -512n],
    ['no call', -1, -4n, -4n],
  ] as const) {
    const view = new DataView(new ArrayBuffer(size))
    view.setBigInt64(interruptedCall, BigInt(number), true)
    view.setBigInt64(callResult, result, true)
    t.equal(restartInterrupted(view, [], registerLayouts.x64), expected !== result, what)
    t.equal(view.getBigInt64(callResult, true), expected, what)
  }
})

t.test('where the result stands in the place of the first argument, a call is begun again with that', async (t) => {
  const layout = registerLayouts.arm64
  const [at, after, stack] = [0xffff_0000_1000, 0xffff_0000_1004, 0xffff_f000_0000]
  const wait = [22, 7, 0xffff_f000_0010, 1, 0xffff_ffff, 0, 8, stack, after]
  for (const [what, waitedIn, result, isAgain] of [
    ['epoll_pwait that was interrupted', wait, -4, true],
    ['epoll_pwait that found something', wait, 1, false],
    ['read that was interrupted by a signal', [63, ...wait.slice(1)], -4, false],
    ['no call before', [], -4, false],
    ['another call before, from another place', wait.with(8, after + 4), -4, false],
    ['another call before, by another function', wait.with(7, stack - 16), -4, false],
    ['another call before, with another time', wait.with(4, 1000), -4, false],
  ] as const) {
    const view = new DataView(new ArrayBuffer(layout.size))
    const put = (offset: number, value: number) => view.setBigInt64(offset, BigInt(value), true)
    for (const [i, offset] of layout.callArguments.entries()) put(offset, wait[i + 1] ?? 0)
    put(layout.callNumber, waitedIn[0] ?? 22)
    put(layout.callResult, result)
    put(layout.stackPointer, stack)
    put(layout.instructionPointer, after)
    t.equal(restartInterrupted(view, waitedIn, layout), isAgain, what)
    const now = [layout.callResult, layout.instructionPointer].map((offset) => Number(view.getBigInt64(offset, true)))
    t.same(now, isAgain ? [7, at] : [result, after], what)
  }
})
