// A performer that plants a fault: from some occurrence of an operation on, what it does or says is not true.
//   node liar.js FOLDER [FAULT]
import type { Actual } from '../../src/oracle/answer.js'
import type { Kind, Operation } from '../../src/oracle/operations.js'
import { serve } from '../../src/oracle/perform/process.js'

type Perform = (operation: Operation) => Actual

export interface Fault {
  readonly kind: Kind
  /** What is done instead of the operation; undefined: there is nothing to spoil in this one. */
  readonly instead: (operation: Operation, perform: Perform) => Actual | undefined
}

const value = <T>(actual: Actual, check: (value: unknown) => value is T): T | undefined =>
  'value' in actual && check(actual.value) ? actual.value : undefined
const isBytes = (value: unknown): value is Buffer => value instanceof Uint8Array && value.length > 0
const isNames = (value: unknown): value is string[] => Array.isArray(value) && value.length > 0
const succeeds = (actual: Actual): boolean => 'value' in actual

/** Writes are made only by those who may write. */
const writable = (operation: Operation, perform: Perform): boolean =>
  'file' in operation &&
  succeeds(perform({ kind: 'pwrite', file: operation.file, offset: 0, length: 0, process: 0, step: 0 }))

export const faults = {
  'loses a write': {
    kind: 'write',
    instead: (operation, perform) =>
      operation.kind === 'write' && writable(operation, perform) ? { value: operation.length } : undefined,
  },
  'writes twice': {
    kind: 'write',
    instead: (operation, perform) => {
      const first = perform(operation)
      if (succeeds(first)) perform(operation)
      return first
    },
  },
  'reads a wrong byte': {
    kind: 'pread',
    instead: (operation, perform) => {
      const bytes = value(perform(operation), isBytes)
      if (!bytes) return undefined
      const wrong = Buffer.from(bytes)
      wrong.writeUInt8(wrong.readUInt8(wrong.length >> 1) ^ 1, wrong.length >> 1)
      return { value: wrong }
    },
  },
  'reads less': {
    kind: 'pread',
    instead: (operation, perform) => {
      const bytes = value(perform(operation), isBytes)
      return bytes && { value: bytes.subarray(0, -1) }
    },
  },
  'fails to rename': { kind: 'rename', instead: () => ({ errno: 'EIO' }) },
  'makes a folder twice': {
    kind: 'mkdir',
    instead: (operation, perform) => (succeeds(perform(operation)) ? perform(operation) : undefined),
  },
  'loses a folder': {
    kind: 'mkdir',
    instead: (operation, perform) => {
      if (operation.kind !== 'mkdir' || !succeeds(perform(operation))) return undefined
      return perform({ kind: 'rmdir', path: operation.path })
    },
  },
  'loses a removal': {
    kind: 'unlink',
    instead: (operation, perform) =>
      operation.kind === 'unlink' && isOfType(perform({ kind: 'stat', path: operation.path }), 'file', 'symlink')
        ? { value: null }
        : undefined,
  },
  'loses a truncation': {
    kind: 'ftruncate',
    instead: (operation, perform) => (writable(operation, perform) ? { value: null } : undefined),
  },
  'forgets a mode': {
    kind: 'chmod',
    instead: (operation, perform) =>
      operation.kind === 'chmod' && isOfType(perform({ kind: 'stat', path: operation.path }), 'file', 'folder')
        ? { value: null }
        : undefined,
  },
  'hides a name': {
    kind: 'readdir',
    instead: (operation, perform) => {
      const names = value(perform(operation), isNames)
      return names && { value: names.slice(1) }
    },
  },
  'shows a name again': {
    kind: 'readSome',
    instead: (operation, perform) => {
      const names = value(perform(operation), isNames)
      return names && { value: [...names, ...names] }
    },
  },
  'loses what was mapped': { kind: 'mapWrite', instead: () => ({ value: null }) },
  'grants a lock to two': {
    kind: 'flock',
    instead: (operation, perform) => (succeeds(perform(operation)) ? undefined : { value: null }),
  },
  'gives a number twice': {
    kind: 'count',
    instead: (operation, perform) => {
      const actual = perform(operation)
      return 'value' in actual && Number(actual.value) > 5 ? { value: Number(actual.value) - 1 } : undefined
    },
  },
  'has two winners': {
    kind: 'race',
    instead: (operation, perform) => {
      const actual = perform(operation)
      return 'value' in actual && actual.value === 'lost' ? { value: 'won' } : undefined
    },
  },
  'logs a line twice': {
    kind: 'log',
    instead: (operation, perform) => {
      perform(operation)
      return perform(operation)
    },
  },
  'does not answer': {
    kind: 'stat',
    instead: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) as never,
  },
  'dies of SIGBUS': {
    kind: 'mapRead',
    instead: () => {
      process.kill(process.pid, 'SIGBUS')
      return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) as never
    },
  },
} as const satisfies Record<string, Fault>

function isOfType(actual: Actual, ...types: string[]): boolean {
  const facts = 'value' in actual ? actual.value : null
  return facts !== null && typeof facts === 'object' && 'type' in facts && types.includes(facts.type)
}

/** How often it is honest about the kind first. */
const HONEST = 2
const name = process.argv[3]
const fault: Fault | undefined = name === undefined ? undefined : faults[name as keyof typeof faults]
if (process.argv[1]?.includes('liar')) {
  let met = 0
  let lied = false
  serve((perform) => (operation) => {
    if (!fault || lied || operation.kind !== fault.kind || ++met <= HONEST) return perform(operation)
    const spoilt = fault.instead(operation, perform)
    lied = spoilt !== undefined
    return spoilt ?? perform(operation)
  })
  process.exit()
}
