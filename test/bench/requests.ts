// Loads of one kind of request: KIND FOLDER MS [BYTES]. Prints how many operations, or bytes, it did a second. Those that
// move bytes want a file `requests.data`.
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const [kind = '', folder = '', ms = '', bytes = '0'] = process.argv.slice(2)
const buffer = Buffer.alloc(Number(bytes), 'keepmount')
const file = join(folder, 'requests.data')
const { size } = statSync(file)
/** To look a name up and do nothing else: open(2)'s O_PATH, which Node has no name for. */
const O_PATH = 0o10000000
const absent = join(folder, 'absent')

/** Does some and says how many. */
const kinds: Record<string, () => number> = {
  there: () => {
    closeSync(openSync(file, O_PATH))
    return 1
  },
  absent: () => {
    statSync(absent, { throwIfNoEntry: false })
    return 1
  },
  // Opening drops what the kernel has cached of the file.
  read: () => through(openSync(file, 'r'), (fd, at) => readSync(fd, buffer, 0, buffer.length, at)),
  write: () => through(openSync(file, 'r+'), (fd, at) => writeSync(fd, buffer, 0, buffer.length, at)),
}

function through(fd: number, step: (fd: number, at: number) => number): number {
  try {
    let at = 0
    while (at < size && performance.now() - started < Number(ms)) at += step(fd, at)
    return at
  } finally {
    closeSync(fd)
  }
}

const started = performance.now()
let done = 0
let now = started
for (; now - started < Number(ms); now = performance.now()) done += kinds[kind]?.() ?? Number.NaN
process.stdout.write(`${(done * 1000) / (now - started)}\n`)
