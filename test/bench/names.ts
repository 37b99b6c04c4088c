// The metadata load: FOLDER MS. Makes a file, looks at it, renames and removes it, again and again; prints how many of
// these operations it did a second.
import { closeSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

const [folder = '', ms = ''] = process.argv.slice(2)
const [a, b] = [join(folder, `names-a-${process.pid}`), join(folder, `names-b-${process.pid}`)]
const started = performance.now()
let now = started
let operations = 0
for (; now - started < Number(ms); now = performance.now()) {
  closeSync(openSync(a, 'wx'))
  statSync(a)
  renameSync(a, b)
  unlinkSync(b)
  operations += 4
}
process.stdout.write(`${(operations * 1000) / (now - started)}\n`)
