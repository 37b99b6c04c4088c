// The group of holders: whoever of them is killed or stopped, and whenever, no channel is lost as long as one of them or
// the daemon has it; and a later supervisor finds all that its predecessor left.
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { findHolders } from '../../src/hold/holder.js'
import { type HeldChannel, Holders, type Replacement } from '../../src/hold/holders.js'
import { closeFd } from '../../src/native/descriptor.js'
import { syscall } from '../../src/native/syscall.js'
import type { Fd, Pid, RemoteFd } from '../../src/native/types.js'
import {
  cgroupsOf,
  channel,
  dead,
  fdsOf,
  gone,
  groupOf,
  isSame,
  killNow,
  nameFor,
  orphanedHolders,
  remoteOf,
  skip,
} from './scene.js'

/** Each holder has just these channels, and each can be taken. */
function hasExactly(t: Test, group: Holders, expected: readonly (readonly [HeldChannel, Fd])[], what: string): void {
  t.same(group.channels().length, expected.length, `${what}: the number of channels`)
  for (const holder of group.all()) {
    t.ok(holder.alive(), `${what}: ${holder.pid} lives`)
    t.equal(fdsOf(holder.pid).length, 2 + expected.length, `${what}: ${holder.pid} has that many`)
    for (const [held, fd] of expected)
      t.ok(isSame(fd, holder.pid, group.remoteFd(holder, held)), `${what}: the same file`)
  }
  for (const [held, fd] of expected) {
    const copy = group.take(held)
    if (copy === null) t.fail(`${what}: nobody has it`)
    else {
      t.ok(isSame(fd, process.pid as Pid, copy as number as RemoteFd), `${what}: a copy of it`)
      closeFd(copy)
    }
  }
}

/** Kills the process whose pid is put into its cell, within the next 0.4 ms, and says so by emptying the cell. */
const killerProgram = `
  const target = require('node:worker_threads').workerData
  for (;;) {
    Atomics.wait(target, 0, 0)
    const until = performance.now() + Math.random() * 0.4
    while (performance.now() < until);
    try { process.kill(target[0], 'SIGKILL') } catch {}
    Atomics.store(target, 0, 0)
    Atomics.notify(target, 0)
  }
`
const duplicate = (fd: Fd): Fd => syscall('fcntl', `fd ${fd}`, fd, 1030 /* F_DUPFD_CLOEXEC */, 0) as Fd
const stop = async (pid: Pid): Promise<void> => void process.kill(pid, 'SIGSTOP')

t.test('a group of holders', { skip }, async (t) => {
  t.test('holds a channel in each, and drops it in each', async (t) => {
    const group = groupOf(t)
    const [a, b] = [channel(t), channel(t)]
    const [heldA, heldB] = [group.hold(a), group.hold(b)]
    hasExactly(
      t,
      group,
      [
        [heldA, a],
        [heldB, b],
      ],
      'two',
    )
    t.equal(group.living().length, 2)
    t.same(
      group.records().map(({ pid, fds }) => [pid, fds.length]),
      group.pids().map((pid) => [pid, 2]),
    )
    group.drop(heldA)
    hasExactly(t, group, [[heldB, b]], 'one dropped')
    t.equal(group.take(heldA), null)
    group.drop(heldB)
    hasExactly(t, group, [], 'all dropped')
  })

  for (const [how, strike] of Object.entries({ killed: killNow, stopped: stop })) {
    for (const index of [0, 1]) {
      t.test(`replaces holder ${index} that was ${how} from the other`, async (t) => {
        const replaced: Replacement[] = []
        const group = groupOf(t, 2, { deadlineMs: 100, replaced: (each) => replaced.push(each) })
        const fds = [channel(t), channel(t), channel(t)]
        const expected = fds.map((fd) => [group.hold(fd), fd] as const)
        const victim = group.pids()[index] as Pid
        await strike(victim)
        const replacement = group.replace(victim)
        hasExactly(t, group, expected, 'replaced')
        t.same(replaced, [replacement])
        t.same(replacement?.lost, [])
        t.equal(group.pids().at(-1), replacement?.by.pid, 'the new one is the last')
        t.notOk(group.pids().includes(victim))
        t.equal(group.replace(victim), null, 'once')
        await gone(victim)
        t.same(cgroupsOf(victim), [])
      })

      t.test(`finds that holder ${index} was ${how} when it holds or drops a channel`, async (t) => {
        const replaced: Pid[] = []
        const group = groupOf(t, 2, { deadlineMs: 100, replaced: ({ dead }) => replaced.push(dead) })
        const [a, b] = [channel(t), channel(t)]
        const heldA = group.hold(a)
        const first = group.pids()[index] as Pid
        await strike(first)
        const heldB = group.hold(b)
        hasExactly(
          t,
          group,
          [
            [heldA, a],
            [heldB, b],
          ],
          'held',
        )
        const second = group.pids()[index] as Pid
        await strike(second)
        group.drop(heldA)
        hasExactly(t, group, [[heldB, b]], 'dropped')
        t.same(replaced, [first, second])
        for (const pid of replaced) await gone(pid)
      })
    }
  }

  t.test(
    'loses nothing when one after the other is killed, each as soon as it is the only one of the first',
    async (t) => {
      const group = groupOf(t)
      const fds = [channel(t), channel(t)]
      const expected = fds.map((fd) => [group.hold(fd), fd] as const)
      for (let round = 0; round < 10; round++) {
        const victim = group.pids()[round % 2] as Pid
        await killNow(victim)
        group.replace(victim)
      }
      hasExactly(t, group, expected, 'after ten')
    },
  )

  t.test('loses nothing when one is killed in the middle of whatever is being done', async (t) => {
    const target = new Int32Array(new SharedArrayBuffer(8))
    const killer = new Worker(killerProgram, { eval: true, workerData: target })
    t.teardown(() => killer.terminate())
    const group = groupOf(t)
    const expected: (readonly [HeldChannel, Fd])[] = []
    const fds = Array.from({ length: 8 }, () => channel(t))
    for (let round = 0; round < 200; round++) {
      const [victim = 0] = [group.pids()[round % 2]]
      Atomics.store(target, 0, victim)
      Atomics.notify(target, 0)
      const [oldest] = expected
      if (oldest && expected.length === fds.length) {
        expected.shift()
        group.drop(oldest[0])
      }
      const fd = fds[round % fds.length] as Fd
      expected.push([group.hold(fd), fd])
      Atomics.wait(target, 0, victim)
      await dead(victim as Pid)
      group.replace(victim as Pid)
      if (round % 20 === 0) hasExactly(t, group, expected, `round ${round}`)
    }
    hasExactly(t, group, expected, 'in the end')
  })

  t.test('is filled from the daemon when all are killed at once', async (t) => {
    for (const way of ['given to replace', 'of the group'] as const) {
      const byId = new Map<number, Fd>()
      const fallback = (held: HeldChannel): Fd | null => {
        const fd = byId.get(held.id)
        return fd === undefined ? null : duplicate(fd)
      }
      const group = groupOf(t, 2, way === 'of the group' ? { fallback } : {})
      const fds = [channel(t), channel(t)]
      const expected = fds.map((fd) => [group.hold(fd), fd] as const)
      for (const [held, fd] of expected) byId.set(held.id, fd)
      const victims = group.pids()
      for (const pid of victims) await killNow(pid)
      t.equal(group.living().length, 0)
      for (const pid of victims) {
        const replacement = way === 'of the group' ? group.replace(pid) : group.replace(pid, fallback)
        t.same(replacement?.lost, [])
      }
      hasExactly(t, group, expected, way)
    }
  })

  t.test('takes the channels from a stopped holder when it is the last that has them', async (t) => {
    const group = groupOf(t, 2, { deadlineMs: 100 })
    const fd = channel(t)
    const held = group.hold(fd)
    const [killed, stopped] = group.pids() as [Pid, Pid]
    await killNow(killed)
    await stop(stopped)
    t.same(group.replace(stopped)?.lost, [])
    t.same(group.replace(killed)?.lost, [])
    hasExactly(t, group, [[held, fd]], 'replaced')
  })

  t.test('says which channels nobody has any more', async (t) => {
    const group = groupOf(t)
    const held = group.hold(channel(t))
    for (const pid of group.pids()) await killNow(pid)
    t.equal(group.take(held), null)
    t.same(group.replace(group.pids()[0] as Pid)?.lost, [held])
  })

  t.test('starts anew, empty, when all are dead', async (t) => {
    const group = groupOf(t)
    group.hold(channel(t))
    const old = group.pids()
    await killNow(old[0] as Pid)
    group.restart()
    hasExactly(t, group, [], 'anew')
    const fd = channel(t)
    hasExactly(t, group, [[group.hold(fd), fd]], 'and holds')
    for (const pid of old) await gone(pid)
  })

  t.test('leaves nothing behind when it ends, also when some are dead or stopped', async (t) => {
    const name = nameFor(t)
    Holders.start(name, 1).end()
    const before = fdsOf(process.pid as Pid)
    const group = Holders.start(name, 3, { deadlineMs: 100 })
    const fd = channel(t)
    group.hold(fd)
    const pids = group.pids() as [Pid, Pid, Pid]
    await killNow(pids[0])
    await stop(pids[1])
    group.end()
    for (const pid of pids) {
      await gone(pid)
      t.same(cgroupsOf(pid), [])
    }
    t.same(findHolders(name), [])
    t.equal(fdsOf(process.pid as Pid).length, before.length + 1, 'but for the channel of the test')
  })

  t.test('can be empty', async (t) => {
    const group = groupOf(t, 0)
    const held = group.hold(channel(t))
    t.equal(group.take(held), null)
    t.same([group.pids(), group.records(), group.living()], [[], [], []])
  })
})

t.test('the holders of a supervisor that was killed', { skip }, async (t) => {
  t.test('are taken up with all their channels, in their order', async (t) => {
    const name = nameFor(t)
    const records = await orphanedHolders(t, name, 2, 3)
    const group = Holders.adopt(name, 2, records)
    t.same(group.records(), records)
    const [, second] = group.channels()
    if (!second) throw new Error('no second channel')
    group.drop(second)
    t.same(
      group.records().map(({ fds }) => fds),
      records.map(({ fds }) => [fds[0], fds[2]]),
    )
    group.release()
    t.same(
      findHolders(name)
        .map(({ pid }) => pid as number)
        .sort(),
      records.map(({ pid }) => pid).sort(),
      'released, they live',
    )
    const again = Holders.adopt(name, 2, records)
    t.equal(again.channels().length, 2, 'what the records have and nobody holds is no channel')
    again.end()
  })

  for (const [how, strike] of Object.entries({ killed: killNow, stopped: stop })) {
    t.test(`are taken up when one was ${how} meanwhile`, async (t) => {
      const name = nameFor(t)
      const records = await orphanedHolders(t, name, 2, 2)
      const victim = records[0]?.pid as Pid
      await strike(victim)
      const replaced: Replacement[] = []
      const group = Holders.adopt(name, 2, records, { deadlineMs: 100, replaced: (each) => replaced.push(each) })
      t.teardown(() => group.end())
      t.match(replaced, [{ dead: victim, lost: [] }])
      t.equal(replaced.length, 1)
      t.equal(group.channels().length, 2)
      const [a, b] = group.all()
      if (!a || !b) throw new Error('fewer than two')
      for (const each of group.channels()) {
        const copy = a.take(group.remoteFd(a, each))
        t.ok(isSame(copy, b.pid, group.remoteFd(b, each)), 'both have the same')
        closeFd(copy)
      }
      await gone(victim)
      t.same(cgroupsOf(victim), [])
    })
  }

  t.test('are filled up when it died while it handed a channel out, or before it wrote that down', async (t) => {
    const name = nameFor(t)
    const records = await orphanedHolders(t, name, 2, 2)
    const [first] = Holders.adopt(name, 2, records).all()
    // The first lets go of one: as if it had never got it.
    first?.drop(records[0]?.fds[1] as RemoteFd)
    const group = Holders.adopt(
      name,
      2,
      records.map((record) => ({ ...record, fds: [] })),
    )
    t.teardown(() => group.end())
    t.equal(group.channels().length, 2)
    for (const holder of group.all()) t.equal(remoteOf(holder).length, 2)
    t.ok(group.records().every(({ fds }) => fds.every((fd) => fd >= 2)))
  })

  t.test('are found by their name when it died before it wrote them down', async (t) => {
    const name = nameFor(t)
    const records = await orphanedHolders(t, name, 2, 1)
    const found = findHolders(name)
    t.same(found.map(({ pid }) => pid as number).sort(), records.map(({ pid }) => pid).sort())
    const group = Holders.adopt(
      name,
      2,
      found.map((identity) => ({ ...identity, fds: [] })),
    )
    t.teardown(() => group.end())
    t.equal(group.channels().length, 1)
    t.same(findHolders(`${name}/other`), [])
  })

  t.test('are not more than there should be when it died while it replaced one', async (t) => {
    const name = nameFor(t)
    const [dead, ...living] = await orphanedHolders(t, name, 3, 1)
    if (!dead) throw new Error('no record')
    await killNow(dead.pid as Pid)
    const group = Holders.adopt(name, 2, [dead, ...living])
    t.teardown(() => group.end())
    t.same(
      group.pids(),
      living.map(({ pid }) => pid),
    )
    t.equal(group.channels().length, 1)
    t.same(cgroupsOf(dead.pid as Pid), [])
  })

  t.test('are replaced from the daemon when both are dead, and brought to their number', async (t) => {
    const name = nameFor(t)
    const records = await orphanedHolders(t, name, 2, 1)
    for (const { pid } of records) await killNow(pid as Pid)
    const daemon = channel(t)
    const group = Holders.adopt(name, 3, records, { fallback: () => duplicate(daemon) })
    t.teardown(() => group.end())
    t.equal(group.all().length, 3)
    const [held] = group.channels()
    if (!held) throw new Error('no channel')
    hasExactly(t, group, [[held, daemon]], 'from the daemon')
  })

  t.test('are no longer a channel when both are dead and nobody has it', async (t) => {
    const name = nameFor(t)
    const records = await orphanedHolders(t, name, 2, 1)
    for (const { pid } of records) await killNow(pid as Pid)
    const group = Holders.adopt(name, 2, records)
    t.teardown(() => group.end())
    hasExactly(t, group, [], 'nothing')
  })
})
