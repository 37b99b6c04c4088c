// Turns a struct's table into its offsets, its size and compiled accessors. A field's accessor is a closure over a
// constant offset, so that reading a request is a handful of DataView loads and makes no garbage.
import { type Scalar, type StructName, structs } from './structs.js'

/** A field of at most 32 bits. `at` is where its struct begins. */
export interface NumberField {
  readonly offset: number
  get(view: DataView, at: number): number
  set(view: DataView, at: number, value: number): void
}

/**
 * A 64-bit field. Outside hot loops use `get` and `set`; inside them its halves, or `number` where the value is known to
 * stay below 2^53 (file sizes and offsets: MAX_LFS_FILESIZE is 2^63, but no file system that is mirrored reaches 2^53).
 */
export interface WideField {
  readonly offset: number
  get(view: DataView, at: number): bigint
  set(view: DataView, at: number, value: bigint): void
  low(view: DataView, at: number): number
  high(view: DataView, at: number): number
  setHalves(view: DataView, at: number, low: number, high: number): void
  /** Exact below 2^53. */
  number(view: DataView, at: number): number
  setNumber(view: DataView, at: number, value: number): void
}

export interface ArrayField {
  readonly offset: number
  readonly size: number
}

type Fields = Record<string, unknown>
type Accessor<T> = T extends 'u64' | 'i64'
  ? WideField
  : T extends Scalar
    ? NumberField
    : T extends StructName
      ? Layout<(typeof structs)[T]>
      : ArrayField

/** A struct: its fields' accessors, its size, and where it begins inside the struct that holds it. */
export type Layout<T extends Fields> = { readonly [K in keyof T]: Accessor<T[K]> } & StructShape

interface StructShape {
  readonly $size: number
  readonly $offset: number
}

/**
 * The layout of a struct of the protocol, by the C ABI: each field at a multiple of its own alignment, the size a
 * multiple of the largest. Sizes are bytes.
 */
export function layout<Name extends StructName>(name: Name): Layout<(typeof structs)[Name]> {
  return build(name, 0) as Layout<(typeof structs)[Name]>
}

/** The size of a struct in bytes, as sizeof. */
export const sizeOf = (name: StructName): number => measure(name).size

const scalarSizes = { u64: 8, i64: 8, u32: 4, i32: 4, u16: 2, u8: 1 } as const satisfies Record<Scalar, number>

interface Measure {
  readonly size: number
  readonly align: number
  readonly offsets: readonly number[]
}

const measured = new Map<StructName, Measure>()

function measure(name: StructName): Measure {
  const known = measured.get(name)
  if (known) return known
  let end = 0
  let align = 1
  const offsets: number[] = []
  for (const type of Object.values(structs[name]) as Type[]) {
    const part = measureType(type)
    end = Math.ceil(end / part.align) * part.align
    offsets.push(end)
    end += part.size
    align = Math.max(align, part.align)
  }
  const result = { size: Math.ceil(end / align) * align, align, offsets }
  measured.set(name, result)
  return result
}

type Type = Scalar | StructName | readonly [Scalar, number]
const isScalar = (type: string): type is Scalar => type in scalarSizes

function measureType(type: Type): { size: number; align: number } {
  if (typeof type === 'object') return { size: scalarSizes[type[0]] * type[1], align: scalarSizes[type[0]] }
  if (isScalar(type)) return { size: scalarSizes[type], align: scalarSizes[type] }
  return measure(type)
}

function build(name: StructName, at: number): StructShape {
  const { size, offsets } = measure(name)
  const out: Fields = { $size: size, $offset: at }
  for (const [i, [field, type]] of Object.entries(structs[name] as Record<string, Type>).entries()) {
    const offset = at + (offsets[i] ?? 0)
    if (typeof type === 'object') out[field] = { offset, size: measureType(type).size } satisfies ArrayField
    else if (isScalar(type)) out[field] = accessors[type](offset)
    else out[field] = build(type, offset)
  }
  return out as Fields & StructShape
}

const accessors = {
  u8: (offset): NumberField => ({
    offset,
    get: (view, at) => view.getUint8(at + offset),
    set: (view, at, value) => view.setUint8(at + offset, value),
  }),
  u16: (offset): NumberField => ({
    offset,
    get: (view, at) => view.getUint16(at + offset, true),
    set: (view, at, value) => view.setUint16(at + offset, value, true),
  }),
  u32: (offset): NumberField => ({
    offset,
    get: (view, at) => view.getUint32(at + offset, true),
    set: (view, at, value) => view.setUint32(at + offset, value, true),
  }),
  i32: (offset): NumberField => ({
    offset,
    get: (view, at) => view.getInt32(at + offset, true),
    set: (view, at, value) => view.setInt32(at + offset, value, true),
  }),
  u64: (offset): WideField => ({ ...wide(offset), get: (view, at) => view.getBigUint64(at + offset, true) }),
  i64: (offset): WideField => wide(offset),
} as const satisfies Record<Scalar, (offset: number) => NumberField | WideField>

const wide = (offset: number): WideField => ({
  offset,
  get: (view, at) => view.getBigInt64(at + offset, true),
  set: (view, at, value) => view.setBigInt64(at + offset, value, true),
  low: (view, at) => view.getUint32(at + offset, true),
  high: (view, at) => view.getUint32(at + offset + 4, true),
  setHalves: (view, at, low, high) => {
    view.setUint32(at + offset, low, true)
    view.setUint32(at + offset + 4, high, true)
  },
  number: (view, at) => view.getUint32(at + offset + 4, true) * 0x1_0000_0000 + view.getUint32(at + offset, true),
  setNumber: (view, at, value) => {
    view.setUint32(at + offset, value >>> 0, true)
    view.setUint32(at + offset + 4, Math.floor(value / 0x1_0000_0000), true)
  },
})
