// A life behind its relay: whoever of relay and supervisor is killed, it is a crash like any other. The next relay knows
// nothing of the one before but what the kernel does.
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { exchangeFds } from '../../src/graft/exchange.js'
import { closeFd } from '../../src/native/descriptor.js'
import { socketpair } from '../../src/native/socket.js'
import type { Pid, RemoteFd } from '../../src/native/types.js'
import { nothingLeft, worksOn } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { Managed, type StartOptions, unlimited } from '../fixtures/managed.js'
import { type Place, placeFor } from '../fixtures/place.js'
import { cannotGraft, stockDaemons } from '../fixtures/stock-daemons.js'

interface Scene {
  readonly t: Test
  readonly place: Place
  readonly managed: Managed
  readonly start: StartOptions
}

/** Ends the relay of a life that is healing, and gives who supervises the mount then. */
const ends: Record<string, (scene: Scene) => Promise<Managed>> = {
  async 'the supervisor is killed, and the same command is run again'({ managed, place, start }) {
    await managed.child.kill()
    return revivedBy(Managed.run(place, start))
  },
  async 'the supervisor is killed, and the mount is adopted'({ managed, place }) {
    await managed.child.kill()
    return revivedBy(Managed.adopt(place))
  },
  async 'supervisor and daemon are killed'({ managed, place, start }) {
    const daemon = await daemonOf(managed)
    await managed.child.kill()
    try {
      process.kill(daemon, 'SIGKILL')
    } catch {
      // It has noticed that it has no relay any more.
    }
    return revivedBy(Managed.run(place, start))
  },
  async 'the relay loses its daemon, and the daemon its relay'({ t, managed }) {
    const pid = await daemonOf(managed)
    const pair = socketpair('seqpacket')
    t.teardown(() => pair.forEach(closeFd))
    const from = managed.log.events.length
    exchangeFds(pid, socketsOf(pid), pair[1])
    await managed.event('revived', { from })
    return managed
  },
}

/** As the supervisor has it now: the process that mounted may have ended since. */
const daemonOf = async (managed: Managed): Promise<Pid> => ((await managed.status()).daemon?.pid ?? 0) as Pid

async function revivedBy(managed: Managed): Promise<Managed> {
  await managed.event('adopted')
  await managed.event('revived')
  return managed
}

// They mostly wait for processes to start.
t.jobs = 2

const socketsOf = (pid: Pid): RemoteFd[] =>
  readdirSync(`/proc/${pid}/fd`)
    .filter((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:'))
    .map((fd) => Number(fd) as RemoteFd)

for (const name of ['bindfs', 'passthrough_ll-in-background'] as const)
  for (const [what, end] of Object.entries(ends))
    t.test(
      `${name} behind its relay goes on when ${what}`,
      { skip: cannotGraft(name), timeout: 120_000, buffered: true },
      async (t) => {
        const place = placeFor(t)
        writeFileSync(join(place.source, 'file'), 'first second third')
        const start = { daemon: stockDaemons[name].command(place), options: [...unlimited, '--revive', 'graft'] }
        const managed = await Managed.serving(place, start)
        const app = new Application(place)
        const fd = await app.do('openSync', join(place.mount, 'file'), 'r+')
        t.equal(await app.do('readFrom', fd, 0, 5), 'first')
        const from = managed.log.events.length
        process.kill(await daemonOf(managed), 'SIGKILL')
        await managed.event('revived', { from })
        t.equal(await app.do('readFrom', fd, 6, 6), 'second')
        t.equal((await managed.status()).state, 'healing')

        const later = await end({ t, place, managed, start })
        t.equal(await app.do('readFrom', fd, 13, 5), 'third', 'what it holds is what it was')
        await app.do('writeSync', fd, 'FIRST', 0)
        await app.do('writeFileSync', join(place.mount, 'new'), 'new')
        // Where the supervisor dies in it, a life may have begun of which nothing is known but its process.
        const { life: present } = await later.status()
        t.ok([3, 4].includes(present), 'no life number is given twice')
        await app.do('closeSync', fd)
        await later.event('healed', { where: ({ life }) => life === present })
        t.equal(readFileSync(join(place.source, 'file'), 'utf8'), 'FIRST second third')
        t.equal(readFileSync(join(place.source, 'new'), 'utf8'), 'new')
        await worksOn(t, place)
        await later.stop()
        await nothingLeft(t, place)
      },
    )
