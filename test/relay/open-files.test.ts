// What a scan of processes has found: how many open files stand behind descriptors and mappings, each of which is closed once,
// and whose paths are ours.
import { spawn } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Pin, PinKind } from '../../src/relay/in-use/pin.js'
import { hasOurPath, openFilesAmong } from '../../src/relay/in-use/pins.js'
import { Child } from '../fixtures/child.js'

const pin = (kind: PinKind, pid: number, fd: number): Pin => ({
  ...{ pid, command: '', path: '', kind, nodeLow: 5, nodeHigh: 0, generation: 0 },
  file: kind === 'open' ? `/proc/${pid}/fd/${fd}` : `/proc/${pid}/map_files/0-1000`,
})

t.test('what was inherited is one open file, what was opened twice is two', async (t) => {
  const file = join(t.testdir(), 'file')
  writeFileSync(file, '')
  const [first, second] = [openSync(file, 'r'), openSync(file, 'r')]
  const heir = spawn('sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', first] })
  t.teardown(() => {
    heir.kill('SIGKILL')
    for (const fd of [first, second]) closeSync(fd)
  })
  const pid = heir.pid ?? 0
  const own = pin('open', process.pid, first)
  const other = pin('open', process.pid, second)
  t.same([...openFilesAmong([own, pin('open', pid, 3), other])], [own, other])
  t.same([...openFilesAmong([own, { ...pin('open', pid, 3), nodeLow: 6 }])].length, 2, 'each file for itself')
})

t.test('a mapping counts where its process has the file not open as well', async (t) => {
  const [open, mapped, elsewhere] = [pin('open', process.pid, 0), pin('mmap', process.pid, 0), pin('mmap', 1, 0)]
  t.same([...openFilesAmong([mapped, open, elsewhere])], [open, elsewhere])
  t.same([...openFilesAmong([pin('cwd', process.pid, 0), pin('watch', 1, 0)])], [])
})

t.test('a path is ours where it is seen from our mount namespace', async (t) => {
  const at = (pid: number | null, path: string): Pin => ({ ...pin('open', pid ?? 0, 0), pid, path })
  t.equal(hasOurPath(at(process.pid, '/mnt/file')), true)
  t.equal(hasOurPath(at(process.pid, '')), false, 'what has none')
  t.equal(hasOurPath(at(null, '/mnt/file')), false, 'what the kernel holds')
  const skip = process.getuid?.() !== 0 && 'needs root'
  await t.test('another has its own', { skip }, async (t) => {
    const elsewhere = new Child(['unshare', '--mount', 'sh', '-c', 'echo there; read x'])
    t.teardown(() => elsewhere.kill())
    await elsewhere.says(/there/)
    t.equal(hasOurPath(at(elsewhere.pid, '/mnt/file')), false)
  })
})
