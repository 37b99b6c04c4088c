// One holder, with real channels: what it takes, what it survives, what it costs, who can reach it, and what stays of it.
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import t from 'tap'
import { assemble, targets } from '../../src/elf/assemble.js'
import { elfExecutable } from '../../src/elf/elf.js'
import { executable } from '../../src/elf/executable.js'
import type { Program } from '../../src/elf/program.js'
import { findHolders, Holder } from '../../src/hold/holder.js'
import { waitingRequests } from '../../src/kernel/connection.js'
import { startTimeOf } from '../../src/kernel/process.js'
import { arch } from '../../src/native/arch.js'
import { closeFd } from '../../src/native/descriptor.js'
import { errnoName } from '../../src/native/error.js'
import type { Pid, RemoteFd } from '../../src/native/types.js'
import { Child, runToEnd } from '../fixtures/child.js'
import { unservedMount } from '../fixtures/unserved-mount.js'
import { cgroupsOf, channel, fdsOf, gone, isSame, killNow, memoryOf, nameFor, orphanedHolders, skip } from './scene.js'

t.test('a holder', { skip }, async (t) => {
  t.test('takes a channel, gives a copy, and closes it on command', async (t) => {
    const holder = Holder.start({ name: nameFor(t) })
    t.teardown(() => holder.end())
    const fd = channel(t)
    const remote = holder.hold(fd)
    t.ok(isSame(fd, holder.pid, remote), 'it holds the very same open file')
    const copy = holder.take(remote)
    t.teardown(() => closeFd(copy))
    t.ok(isSame(fd, process.pid as Pid, copy as number as RemoteFd), 'and so is the copy')
    holder.ping()
    t.ok(holder.alive())
    holder.drop(remote)
    t.throws(() => holder.take(remote), { name: 'HolderError', reason: 'lost', pid: holder.pid })
    t.throws(() => holder.drop(remote), { name: 'HolderError', reason: 'refused', message: /EBADF/ })
    t.same(fdsOf(holder.pid), ['0', '1'])
  })

  t.test('inherits nothing, has a session, a folder and a name of its own, and no environment', async (t) => {
    const name = nameFor(t)
    const holder = Holder.start({ name })
    t.teardown(() => holder.end())
    const links = fdsOf(holder.pid).map((fd) => readlinkSync(`/proc/${holder.pid}/fd/${fd}`))
    t.match(links, [/^socket:/, /^socket:/])
    t.equal(links.length, 2)
    const stat = readFileSync(`/proc/${holder.pid}/stat`, 'utf8').replace(/.*\) /, '').split(' ').map(Number)
    t.equal(stat[2], holder.pid, 'its process group')
    t.equal(stat[3], holder.pid, 'its session')
    t.equal(stat[4], 0, 'no terminal')
    t.equal(readlinkSync(`/proc/${holder.pid}/cwd`), '/')
    t.equal(readFileSync(`/proc/${holder.pid}/comm`, 'utf8'), 'keepmount-hold\n')
    t.equal(readFileSync(`/proc/${holder.pid}/cmdline`, 'utf8'), `keepmount-holder\0${name}\0`)
    t.equal(holder.startTime, startTimeOf(holder.pid))
    t.same(findHolders(name), [{ pid: holder.pid, startTime: holder.startTime }])
  })

  t.test('is as safe as it may be', async (t) => {
    const holder = Holder.start({ name: nameFor(t) })
    t.teardown(() => holder.end())
    const { oomScoreAdj, cgroup, openFiles } = holder.placement
    const may = (score: number): boolean => {
      try {
        writeFileSync(`/proc/${holder.pid}/oom_score_adj`, String(score))
        return true
      } catch {
        return false
      }
    }
    t.ok(
      oomScoreAdj !== null && (oomScoreAdj === -1000 || !may(oomScoreAdj - 1)),
      `its OOM score is ${oomScoreAdj}, the lowest`,
    )
    t.ok((openFiles ?? 0) > 1024, `it may have ${openFiles} files open`)
    t.equal(cgroup !== null, cgroupsOf(holder.pid).length === 1)
    if (cgroup !== null)
      t.equal(readFileSync(`${cgroup}/cgroup.procs`, 'utf8'), `${holder.pid}\n`, 'it is alone in its cgroup')
  })

  t.test('blocks every signal that can be, and lives through each', async (t) => {
    const holder = Holder.start({ name: nameFor(t) })
    t.teardown(() => holder.end())
    const { SIGKILL, SIGSTOP } = constants.signals
    const blocked = BigInt(`0x${/^SigBlk:\s*(\w+)/m.exec(readFileSync(`/proc/${holder.pid}/status`, 'utf8'))?.[1]}`)
    const bit = (signal: number): bigint => 1n << BigInt(signal - 1)
    t.equal(blocked, 2n ** 64n - 1n - bit(SIGKILL) - bit(SIGSTOP))
    const remote = holder.hold(channel(t))
    for (const [name, signal] of Object.entries(constants.signals)) {
      if (signal === SIGKILL || signal === SIGSTOP) continue
      process.kill(holder.pid, signal)
      t.doesNotThrow(() => holder.ping(), name)
    }
    closeFd(holder.take(remote))
  })

  t.test('has at most 16 kB in memory, with one channel and with a thousand', async (t) => {
    for (const [holders, channels] of [
      [10, 1],
      [2, 1000],
    ] as const) {
      for (const { pid } of await orphanedHolders(t, nameFor(t), holders, channels)) {
        const { rss, pss } = memoryOf(pid as Pid)
        t.ok(rss <= 16 && pss <= 16, `${channels} channels: ${rss} kB resident, ${pss} kB its share`)
        t.equal(fdsOf(pid as Pid).length, 2 + channels)
        t.equal(readFileSync(`/proc/${pid}/environ`, 'utf8'), '')
      }
    }
  })

  t.test('that is full says so, and keeps what it has', async (t) => {
    const holder = Holder.start({ name: nameFor(t) })
    t.teardown(() => holder.end())
    const limit = await runToEnd(['prlimit', `--pid=${holder.pid}`, '--nofile=8:8'])
    t.equal(limit.code, 0, limit.stderr)
    const fd = channel(t)
    for (let i = 2; i < 8; i++) t.equal(holder.hold(fd), i)
    t.throws(() => holder.hold(fd), { name: 'HolderError', reason: 'refused', message: /EMFILE/ })
    holder.ping()
    t.equal(fdsOf(holder.pid).length, 8)
  })

  t.test('keeps a mount alive, and ends it when it lets go', async (t) => {
    const { fd, mountpoint, connection } = unservedMount(t)
    const holder = Holder.start({ name: nameFor(t) })
    t.teardown(() => holder.end())
    const remote = holder.hold(fd)
    const prober = new Child([executable('prober'), mountpoint])
    t.teardown(() => prober.kill())
    closeFd(fd)
    t.ok((waitingRequests(connection) ?? 0) > 0, 'its requests wait')
    t.ok(prober.running)
    holder.drop(remote)
    const { code } = await prober.end()
    t.match(errnoName(code ?? 0), /^(ENOTCONN|ECONNABORTED)$/, 'they end when nobody has the channel')
  })

  t.test('cannot be robbed by another user', async (t) => {
    const name = nameFor(t)
    const holder = Holder.start({ name })
    t.teardown(() => holder.end())
    const remote = holder.hold(channel(t))
    const thief = async (fd: number, uid: number): Promise<string> => {
      const path = `${name}/thief-${fd}`
      writeFileSync(path, thiefOf(holder.pid, fd), { mode: 0o755 })
      const { code } = await runToEnd([path], { uid, cwd: '/' })
      return code === 0 ? 'got it' : errnoName(code ?? 0)
    }
    await runToEnd(['chmod', '755', name])
    for (const fd of [0, 1, remote]) {
      t.equal(await thief(fd, 65534), 'EPERM', `fd ${fd}`)
      t.equal(await thief(fd, 0), 'got it', `its own user gets fd ${fd}`)
    }
  })

  t.test(
    'that is stopped is noticed within the deadline, gives its channels all the same, and can be ended',
    async (t) => {
      const holder = Holder.start({ name: nameFor(t), deadlineMs: 100 })
      const fd = channel(t)
      const remote = holder.hold(fd)
      process.kill(holder.pid, 'SIGSTOP')
      for (const [what, action] of [
        ['ping', () => holder.ping()],
        ['hold', () => holder.hold(fd)],
        ['drop', () => holder.drop(remote)],
      ] as const) {
        const start = performance.now()
        t.throws(action, { name: 'HolderError', reason: 'silent', pid: holder.pid }, what)
        const took = performance.now() - start
        t.ok(took >= 99 && took < 1000, `${what}: ${took} ms`)
      }
      t.ok(holder.alive())
      const copy = holder.take(remote)
      t.ok(isSame(copy, process.pid as Pid, fd as number as RemoteFd))
      closeFd(copy)
      process.kill(holder.pid, 'SIGCONT')
      // What it was told while it was stopped it does now; none of these answers is taken for that of the ping.
      holder.ping()
      process.kill(holder.pid, 'SIGSTOP')
      holder.end()
      await gone(holder.pid)
    },
  )

  t.test('that has died is noticed at once', async (t) => {
    const holder = Holder.start({ name: nameFor(t), deadlineMs: 60_000 })
    const remote = holder.hold(channel(t))
    await killNow(holder.pid)
    t.notOk(holder.alive())
    const start = performance.now()
    for (const action of [() => holder.ping(), () => holder.take(remote), () => holder.drop(remote)])
      t.throws(action, { name: 'HolderError', reason: 'ended' })
    t.ok(performance.now() - start < 5000)
    holder.end()
    await gone(holder.pid)
  })

  t.test('leaves no process, fd or cgroup behind when it is ended', async (t) => {
    const ends = { end: (h: Holder) => h.end(), kill: (h: Holder) => h.kill() }
    const name = nameFor(t)
    Holder.start({ name }).end()
    const before = fdsOf(process.pid as Pid).length
    for (const [what, end] of Object.entries(ends)) {
      const holder = Holder.start({ name })
      holder.hold(channel(t))
      end(holder)
      await gone(holder.pid)
      t.same(cgroupsOf(holder.pid), [], what)
    }
    t.equal(fdsOf(process.pid as Pid).length, before + 2, 'but for the two channels of the test')
    t.same(findHolders(name), [])
  })

  t.test('lives on without its supervisor, and another takes it up', async (t) => {
    const name = nameFor(t)
    const [record] = await orphanedHolders(t, name, 1, 2)
    if (!record) throw new Error('no record')
    const identity = { pid: record.pid as Pid, startTime: record.startTime }
    const holder = Holder.adopt(identity)
    holder.ping()
    for (const fd of record.fds) closeFd(holder.take(fd as RemoteFd))
    holder.drop(record.fds[0] as RemoteFd)
    t.equal(fdsOf(holder.pid).length, 3)
    t.ok(holder.placement.openFiles)
    t.equal(holder.placement.cgroup !== null, cgroupsOf(holder.pid).length === 1)
    holder.release()
    const again = Holder.adopt(identity)
    again.ping()
    again.end()
    await gone(record.pid as Pid)
    t.same(cgroupsOf(record.pid as Pid), [])
  })

  t.test('that holds nothing dies with its supervisor', async (t) => {
    const [record] = await orphanedHolders(t, nameFor(t), 1, 0)
    const pid = record?.pid as Pid
    await gone(pid)
    Holder.start({ name: nameFor(t) }).end()
    t.same(cgroupsOf(pid), [], 'the end of another removes its cgroup')
  })

  t.test('is not taken for another process', async (t) => {
    const child = new Child(['cat'])
    t.teardown(() => child.kill())
    const pid = child.pid as Pid
    const startTime = startTimeOf(pid) ?? ''
    const before = fdsOf(process.pid as Pid)
    t.throws(() => Holder.adopt({ pid, startTime }), { name: 'HolderError', reason: 'foreign', pid })
    t.throws(
      () => Holder.adopt({ pid, startTime: '1' }),
      { name: 'HolderError', reason: 'ended' },
      'its pid was given to another',
    )
    t.throws(() => Holder.adopt({ pid: 0x7ffffff0 as Pid, startTime }), { name: 'HolderError', reason: 'ended' })
    t.same(fdsOf(process.pid as Pid), before)
  })
})

/** A program that takes one fd of one process: its exit code is 0, or the errno of the first call that fails. */
function thiefOf(pid: Pid, fd: number): Buffer {
  const program: Program = {
    name: 'thief',
    variables: ['pidfd', 'status'],
    frameSize: 16,
    rows: [
      ['call', 'pidfd_open', pid, 0],
      ['move', 'pidfd', 'result'],
      ['move', 'status', 'result'],
      ['if', 'status', '<', 0, 'failed'],
      ['call', 'pidfd_getfd', 'pidfd', fd, 0],
      ['move', 'status', 'result'],
      ['if', 'status', '<', 0, 'failed'],
      ['call', 'exit_group', 0],
      ['label', 'failed'],
      ['negate', 'status'],
      ['call', 'exit_group', 'status'],
    ],
  }
  return elfExecutable(targets[arch].machine, Buffer.concat(assemble(program, arch).map(({ bytes }) => bytes)))
}
