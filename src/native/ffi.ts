// The one door to native code: libc's syscall(2), prepared once for the calling thread, and the few functions of libc that are
// more than a system call. A call writes its numbers and
// pointers into cells that are allocated once and costs under 1 µs; ffi-napi's own functions cost 30 µs and garbage.
//
//   cells: | nr | a0 | a1 | a2 | a3 | a4 | a5 |    8 bytes each
//   argv:  | &nr | &a0 | …                    |    what ffi_call reads
import { createRequire, Module } from 'node:module'
import { dirname } from 'node:path'
import { arch } from './arch.js'
import { numberOf, type SyscallName } from './syscall-numbers.js'

/** An argument of a system call. A Buffer stands for its address; the caller keeps it alive over the call. */
export type Argument = number | bigint | Buffer

interface Bindings {
  ffi_prep_cif(cif: Buffer, count: number, result: Buffer, args: Buffer, abi: number): number
  ffi_call(cif: Buffer, fn: Buffer, result: Buffer, argv: Buffer): void
  ffi_call_async(cif: Buffer, fn: Buffer, result: Buffer, argv: Buffer, done: (error: unknown) => void): void
  FFI_TYPES: Record<'int32' | 'int64' | 'pointer', Buffer>
  FFI_CIF_SIZE: number
  FFI_DEFAULT_ABI: number
  StaticFunctions: { dlsym: Buffer; _errno: Buffer }
}
interface Addon {
  /** @param ref what makes the two addons know each other's buffers */
  initializeBindings(ref: unknown): Bindings
}
interface Ref {
  readonly instance: unknown
  /** @param keep whether what is pointed to lives as long as the buffer */
  _writePointer(buffer: Buffer, offset: number, pointer: Buffer, keep?: boolean): void
  readPointer(buffer: Buffer, offset: number, length: number): Buffer
}

// The addons alone, found as their packages find them. What the packages have around them is not used here, and takes
// longer to load than all else that a life needs before it serves.
const load = createRequire(import.meta.url)
const folderOf = (name: string): string => dirname(load.resolve(`${name}/package.json`))
const addon = createRequire(load.resolve('ffi-napi/package.json'))('node-gyp-build') as (folder: string) => unknown
const ref = addon(folderOf('ref-napi')) as Ref
const bindings = initializedOnce()

/** Initialized twice, the addon has libuv run in circles: whoever comes first leaves it where the package itself looks. */
function initializedOnce(): Bindings {
  const place = load.resolve('ffi-napi/lib/bindings')
  const known = load.cache[place]
  if (known) return known.exports as Bindings
  const { initializeBindings } = addon(folderOf('ffi-napi')) as Addon
  const module = new Module(place)
  module.exports = initializeBindings(ref.instance)
  module.loaded = true
  load.cache[place] = module
  return module.exports as Bindings
}

const { FFI_TYPES } = bindings

/** A block of argument cells for one signature of `count` 64-bit arguments. */
class Frame {
  readonly cells: Buffer
  readonly argv: Buffer
  readonly result = Buffer.alloc(8)
  private readonly words: Int32Array
  /** What the cells point to now. `_writePointer` could keep it, but then would keep all they ever pointed to. */
  private readonly pointers: Buffer[] = []

  constructor(readonly count: number) {
    this.cells = Buffer.alloc(8 * count)
    this.argv = Buffer.alloc(8 * count)
    this.words = new Int32Array(this.cells.buffer, this.cells.byteOffset, 2 * count)
    for (let i = 0; i < count; i++) ref._writePointer(this.argv, 8 * i, this.cells.subarray(8 * i), true)
  }

  set(index: number, value: Argument): void {
    if (typeof value === 'number') {
      this.words[2 * index] = value | 0
      this.words[2 * index + 1] = Math.floor(value / 0x1_0000_0000)
    } else if (typeof value === 'bigint') this.cells.writeBigInt64LE(BigInt.asIntN(64, value), 8 * index)
    else {
      ref._writePointer(this.cells, 8 * index, value)
      this.pointers[index] = value
    }
  }
}

const prepare = (count: number, result: Buffer): Buffer => {
  const cif = Buffer.alloc(bindings.FFI_CIF_SIZE)
  const types = Buffer.alloc(8 * count + 8)
  for (let i = 0; i < count; i++) ref._writePointer(types, 8 * i, FFI_TYPES.int64, true)
  const status = bindings.ffi_prep_cif(cif, count, result, types, bindings.FFI_DEFAULT_ABI)
  if (status !== 0) throw new Error(`ffi_prep_cif: status ${status}`)
  kept.push(types)
  return cif
}

/** libffi keeps pointers into these for as long as the thread lives. */
const kept: Buffer[] = []
const ARGUMENTS = 7
const cif = prepare(ARGUMENTS, FFI_TYPES.int64)
const errnoCif = prepare(0, FFI_TYPES.int32)
const syscallFunction = symbol('syscall')
const frame = new Frame(ARGUMENTS)
const none = Buffer.alloc(8)
const errnoResult = Buffer.alloc(8)

function symbol(name: string): Buffer {
  const call = new Frame(2)
  const text = cstring(name)
  call.set(0, 0)
  call.set(1, text)
  bindings.ffi_call(prepare(2, FFI_TYPES.pointer), bindings.StaticFunctions.dlsym, call.result, call.argv)
  if (call.result.readBigUInt64LE() === 0n) throw new Error(`libc has no ${name}`)
  return ref.readPointer(call.result, 0, 8)
}

/**
 * One system call. Returns its result, or the negative errno as the kernel itself does; never throws for a failed call.
 * Source: syscall(2).
 */
export function rawSyscall(
  name: SyscallName,
  a0: Argument = 0,
  a1: Argument = 0,
  a2: Argument = 0,
  a3: Argument = 0,
  a4: Argument = 0,
  a5: Argument = 0,
): number {
  frame.set(0, numberOf(name, arch))
  frame.set(1, a0)
  frame.set(2, a1)
  frame.set(3, a2)
  frame.set(4, a3)
  frame.set(5, a4)
  frame.set(6, a5)
  bindings.ffi_call(cif, syscallFunction, frame.result, frame.argv)
  const low = frame.result.readUInt32LE(0)
  const high = frame.result.readInt32LE(4)
  return high === -1 && low === 0xffff_ffff ? -readErrno() : high * 0x1_0000_0000 + low
}

/**
 * A function of libc that takes `count` numbers or pointers and returns an int. Errors are in what it returns, not in errno.
 * @throws Error if libc has none of that name
 */
export function libcFunction(name: string, count: number): (...args: Argument[]) => number {
  const code = symbol(name)
  const call = new Frame(count)
  const prepared = prepare(count, FFI_TYPES.int32)
  return (...args) => {
    for (const [i, value] of args.entries()) call.set(i, value)
    bindings.ffi_call(prepared, code, call.result, call.argv)
    return call.result.readInt32LE()
  }
}

function readErrno(): number {
  bindings.ffi_call(errnoCif, bindings.StaticFunctions._errno, errnoResult, none)
  return errnoResult.readInt32LE()
}

/**
 * A system call on a thread of libuv's pool, for one that blocks. Resolves to its result, or to -1: the errno of another
 * thread cannot be read. The arguments stay alive until then.
 */
export function asyncSyscall(name: SyscallName, ...args: Argument[]): Promise<number> {
  const call = new Frame(ARGUMENTS)
  call.set(0, numberOf(name, arch))
  for (const [i, value] of args.entries()) call.set(i + 1, value)
  const buffers = { call, args }
  underway.add(buffers)
  return new Promise((resolve, reject) => {
    bindings.ffi_call_async(cif, syscallFunction, call.result, call.argv, (error) => {
      underway.delete(buffers)
      if (error) reject(error instanceof Error ? error : new Error(String(error)))
      else resolve(Number(call.result.readBigInt64LE()))
    })
  })
}

/** What calls on other threads still read and write; V8 must not free it. */
const underway = new Set<object>()

/** A NUL-terminated copy of a path or name. Throws on one that contains NUL: the kernel would cut it there. */
export function cstring(text: string | Buffer): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  if (bytes.includes(0)) throw new TypeError(`a name with a NUL byte: ${JSON.stringify(String(text))}`)
  const out = Buffer.alloc(bytes.length + 1)
  bytes.copy(out)
  return out
}

/** Writes the address of `target` into a struct at `offset`; the caller keeps `target` alive. */
export const writePointer = (struct: Buffer, offset: number, target: Buffer): void =>
  ref._writePointer(struct, offset, target)

/** Memory that this process has mapped, as a Buffer; it stays mapped as long as anybody uses that. */
export function viewAt(address: number, size: number): Buffer {
  const cell = Buffer.alloc(8)
  cell.writeBigUInt64LE(BigInt(address))
  return ref.readPointer(cell, 0, size)
}

/**
 * A function of one number and a number of 32 bits as its result, at an address: what `mapCode` has mapped, and nothing
 * else. The returned function calls it with this argument each time; a call costs a third of a microsecond.
 */
export function callable(address: number, argument: number): () => number {
  const code = viewAt(address, 1)
  const call = new Frame(1)
  call.set(0, argument)
  const result = new Int32Array(call.result.buffer, call.result.byteOffset, 1)
  const { argv, result: out } = call
  const { ffi_call } = bindings
  const one = prepare(1, FFI_TYPES.int64)
  callables.add(call)
  return () => {
    ffi_call(one, code, out, argv)
    return result[0] ?? 0
  }
}
const callables = new Set<Frame>()
