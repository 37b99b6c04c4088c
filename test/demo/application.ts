// An application of the demo: `writer FILE` or `reader FILE`, over and over on a file that it opens once. It is asked by a
// message what it has done since it was last asked, and answers between two steps: not before its file answers.
import { closeSync, constants, fsyncSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

export interface Account {
  /** Steps since the start. */
  readonly steps: number
  /** Errors, wrong bytes, lines doubled or lost since the start. */
  readonly errors: number
  readonly notes: readonly string[]
  /** The longest step since the last account, in milliseconds. */
  readonly longest_ms: number
}

interface Work {
  step(): void
  /** Looks at what was done, at the end. @throws if it is not right */
  check(): void
}

const works = {
  /** A log: numbered lines, each followed by fsync. In the end each must be there once and in order. */
  writer(path: string): Work {
    const fd = openSync(path, 'a')
    let lines = 0
    return {
      step() {
        writeSync(fd, `line ${lines}\n`)
        lines++
        fsyncSync(fd)
      },
      check() {
        closeSync(fd)
        const expected = Array.from({ length: lines }, (_, n) => `line ${n}\n`).join('')
        if (readFileSync(path, 'utf8') !== expected) throw new Error(`${path} does not hold each line once, in order`)
      },
    }
  },
  /** Blocks at random, past the page cache: each names its own number. */
  reader(path: string): Work {
    const size = 4096
    const blocks = 256
    const blockOf = (n: number): Buffer => Buffer.alloc(size, `block ${n}\n`)
    writeFileSync(path, Buffer.concat(Array.from({ length: blocks }, (_, n) => blockOf(n))))
    const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECT)
    const buffer = Buffer.alloc(size)
    return {
      step() {
        const n = Math.floor(Math.random() * blocks)
        const count = readSync(fd, buffer, 0, size, n * size)
        if (count !== size || !buffer.equals(blockOf(n))) throw new Error(`block ${n} has other bytes`)
      },
      check: () => closeSync(fd),
    }
  },
} as const

const [role = '', path = ''] = process.argv.slice(2)
const notes: string[] = []
let steps = 0
let errors = 0
let longest = 0
let ending = false

process.on('message', (message) => {
  if (message === 'end') ending = true
  else account()
})
process.on('disconnect', () => process.exit(1))

const work = works[role === 'writer' ? 'writer' : 'reader'](path)
while (!ending) {
  const started = performance.now()
  attempt(() => work.step())
  steps++
  longest = Math.max(longest, performance.now() - started)
  // The turn in which a message is seen.
  await setImmediate()
}
attempt(() => work.check())
process.removeAllListeners('disconnect')
account()
process.disconnect()

function attempt(action: () => void): void {
  try {
    action()
  } catch (error) {
    errors++
    if (notes.length < 5) notes.push(error instanceof Error ? error.message : String(error))
  }
}

function account(): void {
  process.send?.({ steps, errors, notes, longest_ms: longest } satisfies Account)
  longest = 0
}
