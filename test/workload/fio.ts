// fio with verification, in rounds: each round writes a file at random places and reads every block back by its checksum.
// How it reaches the file is the third argument: `rw` by read and write, `mmap` through a shared mapping. After a round,
// the file beneath the mount must be the same, byte for byte: fio itself may read from the page cache.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { folders, runWorkload } from './workload.js'

const engines = {
  rw: ['--ioengine=psync', '--rw=randrw', '--bsrange=512-16k', '--fsync=64'],
  // Smaller than a page fio refuses to map.
  mmap: ['--ioengine=mmap', '--rw=randwrite', '--bsrange=4k-16k', '--fsync=256'],
} as const

const engine = process.argv[4] === 'mmap' ? 'mmap' : 'rw'

await runWorkload(`fio-${engine}`, () => {
  const { mount, source } = folders()
  const file = `fio-${engine}.data`
  const argv = [
    `--name=${engine}`,
    `--filename=${join(mount, file)}`,
    '--thread',
    '--size=4m',
    '--end_fsync=1',
    '--verify=crc32c',
    '--verify_fatal=1',
    '--verify_backlog=200',
    '--verify_state_save=0',
    ...engines[engine],
  ]
  return {
    async step() {
      // A state file or anything else fio may leave belongs beneath the scratch folder, not into the caller's.
      const fio = spawn('fio', argv, { stdio: ['ignore', 'pipe', 'pipe'], cwd: source })
      let output = ''
      fio.stdout.on('data', (text: Buffer) => {
        output += text
      })
      fio.stderr.on('data', (text: Buffer) => {
        output += text
      })
      const [code, signal] = (await once(fio, 'close')) as [number | null, string | null]
      const complaints = output.split('\n').filter((line) => /^(fio|verify|.*: bad )/.test(line) && !/^fio-/.test(line))
      if (/verify:|bad header|bad magic/.test(output)) return complaints.join('; ')
      if (code !== 0) throw new Error(`fio ended with ${signal ?? code}: ${complaints.join('; ')}`)
      const same = readFileSync(join(source, file)).equals(readFileSync(join(mount, file)))
      return same ? undefined : 'the file beneath the mount is another'
    },
  }
})
