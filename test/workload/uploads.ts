// Files on a daemon that keeps what is written to itself until it is closed, or longer, and takes that with it when it dies:
// each is written until it is seen beneath the mount, and from then on all must be exact. One that was stored first of all
// stays open and is read in each step.
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { failedWith } from '../../src/native/error.js'
import { until } from '../fixtures/deadline.js'
import { folders, runWorkload } from './workload.js'

const BLOCK = 4096
const BLOCKS = 64
const blockOf = (n: number): Buffer => Buffer.alloc(BLOCK, `block ${String(n).padStart(9, '0')}\n`)
/** How long an upload may take, before what was written counts as lost with its daemon. */
const UPLOAD_MS = 3000
const MOST_TRIES = 20

const [, , name = 'uploads'] = process.argv.slice(2)

await runWorkload(name, () => {
  const { mount, source } = folders()
  const [home, beneath] = [join(mount, name), join(source, name)]
  mkdirSync(home)
  const whole = Buffer.concat(Array.from({ length: BLOCKS }, (_, n) => blockOf(n)))
  let kept = -1
  let turn = 0
  return {
    async step() {
      if (kept < 0) {
        await store(join(home, 'kept'), join(beneath, 'kept'), whole)
        kept = openSync(join(home, 'kept'), 'r')
      }
      const text = Buffer.from(`turn ${turn}`)
      const [folder, shown] = [join(home, `u${turn}`), join(beneath, `u${turn++}`)]
      mkdirSync(folder)
      await store(join(folder, 'a'), join(shown, 'a'), text)
      const first = readFileSync(join(folder, 'a'))
      renameSync(join(folder, 'a'), join(folder, 'b'))
      // A name may come twice where the daemon dies in the midst; none may be missing.
      const listed = [folder, shown].map((path) => [...new Set(readdirSync(path))].join()).join(' ')
      const second = readFileSync(join(folder, 'b'))
      const under = readFileSync(join(shown, 'b'))
      unlinkSync(join(folder, 'b'))
      const left = readdirSync(shown).join()
      rmdirSync(folder)
      const n = turn % BLOCKS
      const block = Buffer.alloc(BLOCK)
      const count = readSync(kept, block, 0, BLOCK, n * BLOCK)
      for (const seen of [first, second, under])
        if (!seen.equals(text)) return `a file held ‘${seen}’ instead of ‘${text}’`
      if (listed !== 'b b') return `the folder showed ‘${listed}’ instead of ‘b b’`
      if (left !== '') return `the folder beneath has ‘${left}’ still`
      if (count !== BLOCK || !block.equals(blockOf(n))) return `block ${n} reads ‘${block.toString('latin1', 0, 16)}’`
      return undefined
    },
    finish() {
      closeSync(kept)
      return [home, beneath].flatMap((folder) => {
        const names = readdirSync(folder).join()
        return names === 'kept' ? [] : [`${folder} shows ‘${names}’ instead of ‘kept’`]
      })
    },
  }
})

/** Writes the file until it is stored. Whatever fails or is lost before that is the daemon's own. */
async function store(path: string, beneath: string, data: Buffer): Promise<void> {
  const isStored = (): boolean => {
    try {
      return readFileSync(beneath).equals(data)
    } catch (error) {
      if (failedWith(error, 'ENOENT')) return false
      throw error
    }
  }
  for (let i = 0; i < MOST_TRIES; i++) {
    try {
      writeFileSync(path, data)
    } catch {
      continue
    }
    const stored = await until(isStored, 'an upload', UPLOAD_MS).then(
      () => true,
      () => false,
    )
    if (stored) return
  }
  throw new Error('a file could not be stored')
}
