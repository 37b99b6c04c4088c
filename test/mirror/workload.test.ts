import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { MirrorLives } from '../fixtures/mirror-lives.js'
import { type Place, placeFor } from '../fixtures/place.js'

t.setTimeout(170_000)

/** A mount whose daemon is dead hangs whoever uses it: then the command is killed. */
const run = (command: string, args: string[], cwd: string) =>
  promisify(execFile)(command, args, { cwd, timeout: 100_000, killSignal: 'SIGKILL' })

const missing = (command: string): string | false =>
  spawnSync(command, ['--version']).error ? `${command} is not installed` : false

const verified = (place: Place, name: string, ...options: string[]) =>
  run(
    'fio',
    [`--name=${name}`, `--directory=${place.mount}`, '--size=8m', '--verify=crc32c', '--verify_fatal=1', ...options],
    place.folder,
  )

const loads: [what: string, options: string[]][] = [
  ['random writes', ['--rw=randwrite', '--bs=4k', '--ioengine=psync']],
  ['large sequential writes', ['--rw=write', '--bs=1m', '--ioengine=psync']],
  ['a mapping', ['--rw=randwrite', '--bs=4k', '--ioengine=mmap']],
  ['writes past the page cache', ['--rw=randrw', '--bs=4k', '--ioengine=psync', '--direct=1']],
  ['appends with fsync', ['--rw=write', '--bs=512', '--ioengine=psync', '--fsync=64', '--size=1m']],
]

t.test('fio verifies every byte', { skip: missing('fio') }, async (t) => {
  const place = placeFor(t)
  const lives = await new MirrorLives(place).start()
  for (const [i, [what, options]] of loads.entries()) await t.resolves(verified(place, `load-${i}`, ...options), what)
  t.equal((await lives.stop()).code, 0)
})

t.test('fio verifies every byte while the mirror is killed again and again', { skip: missing('fio') }, async (t) => {
  const place = placeFor(t)
  const lives = await new MirrorLives(place).start()
  let running = true
  const load = Promise.all(
    loads.map(([what, options], i) => verified(place, `load-${i}`, '--loops=3', ...options).then(() => what)),
  ).finally(() => {
    running = false
  })
  load.catch(() => undefined)
  let kills = 0
  while (running && kills < 15) {
    await lives.kill()
    lives.revive()
    // The next kill comes once this life has served something.
    await run('stat', [place.mount], place.folder)
    kills++
  }
  t.same(
    await load,
    loads.map(([what]) => what),
  )
  t.ok(kills > 0, `${kills} kills`)
  t.equal((await lives.stop()).code, 0)
})

t.test(
  'git clones, and finds nothing wrong, also when the mirror is killed meanwhile',
  { skip: missing('git') },
  async (t) => {
    const place = placeFor(t)
    const origin = place.path('origin')
    mkdirSync(origin)
    const git = (cwd: string, ...args: string[]) =>
      run('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', '-c', 'gc.auto=0', ...args], cwd)
    await git(origin, 'init', '-q')
    for (let commit = 0; commit < 3; commit++) {
      for (let i = 0; i < 200; i++) writeFileSync(join(origin, `file-${i}`), `${commit} ${i}\n`.repeat(100))
      await git(origin, 'add', '.')
      await git(origin, 'commit', '-q', '-m', `commit ${commit}`)
    }
    const lives = await new MirrorLives(place).start()
    const clone = join(place.mount, 'clone')
    const cloning = git(place.folder, 'clone', '-q', '--no-local', origin, clone)
    cloning.catch(() => undefined)
    for (let kills = 0; kills < 4; kills++) {
      await lives.kill()
      lives.revive()
      await run('stat', [place.mount], place.folder)
    }
    await cloning
    await git(clone, 'fsck', '--full', '--strict')
    t.equal((await git(clone, 'status', '--porcelain')).stdout, '')
    await git(clone, 'checkout', '-q', 'HEAD~2')
    await git(clone, 'repack', '-q', '-a', '-d')
    t.equal((await git(clone, 'status', '--porcelain')).stdout, '')
    t.equal((await lives.stop()).code, 0)
  },
)
