// Grafting stock daemons: the next life is started, mounts its decoy, gets a socket for its channel, answers there, and in
// the end gets the channel of the old mount.
import t from 'tap'
import { channelFdsOf, takeFd } from '../../src/capture/take-channels.js'
import { isAbandoned } from '../../src/graft/decoy.js'
import { copiesOf } from '../../src/graft/descriptors.js'
import { GraftError } from '../../src/graft/error.js'
import { exchangeFds } from '../../src/graft/exchange.js'
import { connectionExists } from '../../src/kernel/connection.js'
import { connectionOf, type Mount, readMounts } from '../../src/kernel/mountinfo.js'
import { fuseFdsOf } from '../../src/kernel/process.js'
import { closeFd } from '../../src/native/descriptor.js'
import type { Pid } from '../../src/native/types.js'
import { startProber } from '../../src/revive/prober.js'
import { Child } from '../fixtures/child.js'
import { until } from '../fixtures/deadline.js'
import { cannotGraft, stockDaemons, stockNames } from '../fixtures/stock-daemons.js'
import { deadMount, Grafted, liveMount } from './grafted.js'

/** None for a process that has ended meanwhile. */
function mountsSeenBy(pid: Pid): Mount[] {
  try {
    return readMounts(pid)
  } catch {
    return []
  }
}

for (const name of stockNames) {
  const { command } = stockDaemons[name]
  const skip = cannotGraft(name)
  t.test(
    `${name} answers on a socket, and then on the channel of the old mount`,
    { skip, timeout: 60_000 },
    async (t) => {
      const old = await deadMount(t, command)
      const began = performance.now()
      const life = await Grafted.start(t, old, command)
      t.comment(`its decoy was ready after ${(performance.now() - began).toFixed(1)} ms`)
      const { decoy, family } = life
      const seen = family.now().flatMap(mountsSeenBy)
      t.notOk(
        seen.some(({ device }) => device === old.mount.device),
        'it does not see the old mount',
      )
      t.notOk(
        readMounts().some(({ device }) => device === decoy.mount.device),
        'and we do not see its decoy',
      )

      const { fds, stopUs } = life.graft()
      t.comment(`stopped for ${Math.round(stopUs)} us, ${fds.length} descriptors`)
      t.ok(fds.length > 0)
      t.same(
        family.now().flatMap((pid) => fuseFdsOf(pid)),
        [],
        'it has no channel any more',
      )
      t.not(await isAbandoned(decoy.mount, life.namespace, AbortSignal.timeout(10_000)), 'never', 'nor has anyone else')
      for (let i = 0; i < 20; i++) {
        t.same(life.ask('STATFS'), { length: 96, error: 0 })
        t.same(life.ask('GETATTR'), { length: 120, error: 0 })
      }

      for (const pid of family.now()) {
        const copies = copiesOf(pid, life.theirs)
        if (copies.length > 0) exchangeFds(pid, copies, old.channel)
      }
      const prober = startProber(old.place.mount)
      t.equal(await prober.answer, 0, 'it serves the old mount')

      await family.kill()
      life.namespace.close()
      await until(() => !connectionExists(decoy.connection), 'the end of the decoy')
    },
  )
}

const traffic = (mount: string): string =>
  `i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo $i >${mount}/f && [ "$(cat ${mount}/f)" = $i ] && mv ${mount}/f ${mount}/g && ls ${mount} >/dev/null || exit 1; done; echo all of it`

for (const name of ['bindfs', 'passthrough_ll', 'gocryptfs', 'rclone-off'] as const) {
  const { command } = stockDaemons[name]
  const skip = cannotGraft(name)
  t.test(
    `${name} serves without an error while its channel is exchanged again and again`,
    { skip, timeout: 90_000 },
    async (t) => {
      const { place, pid, mount, channel } = await liveMount(t, command)
      const connection = connectionOf(mount.device)
      const application = new Child(['sh', '-c', traffic(place.mount)])
      t.teardown(() => application.kill())
      let count = 0
      while (application.running) {
        // By the same open file: what is under way must come to its end.
        if (exchanges(pid, channelFdsOf(pid, connection), channel)) count++
        await new Promise((resolve) => setImmediate(resolve))
      }
      t.match(await application.end(), { code: 0 }, `no error in ${count} exchanges`)
      await application.output()
      t.match(application.stdout, /all of it/)
      t.ok(count > 50, `${count} exchanges`)
    },
  )
}

/** False if its threads wait for the disk and can't be stopped: then nothing has changed. */
function exchanges(...args: Parameters<typeof exchangeFds>): boolean {
  try {
    exchangeFds(...args)
    return true
  } catch (error) {
    if (error instanceof GraftError && error.reason === 'not-stopping') return false
    throw error
  }
}

t.test(
  'a decoy is abandoned only when nobody has its channel',
  { skip: cannotGraft('bindfs'), timeout: 60_000 },
  async (t) => {
    const { command } = stockDaemons.bindfs
    const old = await deadMount(t, command)
    const life = await Grafted.start(t, old, command)
    const { decoy, namespace, pid } = life
    const copy = takeFd(pid, channelFdsOf(pid, decoy.connection)[0] ?? (0 as never))
    life.graft()
    t.equal(await isAbandoned(decoy.mount, namespace, AbortSignal.timeout(300)), 'never', 'we have a copy of it')
    const answer = isAbandoned(decoy.mount, namespace, AbortSignal.timeout(10_000))
    closeFd(copy)
    t.not(await answer, 'never')
    t.equal(await isAbandoned(decoy.mount, namespace, AbortSignal.timeout(10_000)), 'before')
    t.same(fuseFdsOf(pid), [])
  },
)
