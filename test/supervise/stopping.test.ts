// SIGTERM to a later life of a stock daemon: what it unmounts then is its decoy, and some wait until the kernel tells them on
// their channel that their mount is gone. The mount goes, and the daemon ends by itself.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pass } from 'node:timers/promises'
import t from 'tap'
import { nothingLeft } from '../fixtures/after-all.js'
import { Application } from '../fixtures/application.js'
import { until } from '../fixtures/deadline.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { cannotGraft, type StockDaemon, type StockName, stockDaemons } from '../fixtures/stock-daemons.js'

/** libfuse leaves its loop at the signal; go-fuse reads until ENODEV. */
const names = ['bindfs', 'passthrough_ll', 'gocryptfs', 'rclone-mount2-off'] as const satisfies readonly StockName[]

/** How long a heal takes, and in which steps of it it is stopped. */
const HEAL_MS = 100
const STEP_MS = 10

/** Nobody is killed in time for the test. */
const patient = ['--timeout-stop-sec', '600']

const situations = {
  'behind its relay': { options: ['--after-heal', 'relay'], event: 'revived' },
  healed: { options: [], event: 'healed' },
} as const

for (const name of names)
  for (const [situation, { options, event }] of Object.entries(situations))
    t.test(
      `${name}, ${situation}, ends when it is asked to`,
      { skip: cannotGraft(name), timeout: 60_000 },
      async (t) => {
        const place = placeFor(t)
        const { ends = 0, ...daemon }: StockDaemon = stockDaemons[name]
        const managed = await Managed.serving(place, {
          daemon: daemon.command(place),
          options: [...unlimited, ...patient, ...options, '--revive', 'graft'],
        })
        await managed.crash()
        await managed.event(event)
        const { code, signal } = await managed.stop()
        t.equal(signal, null)
        t.ok(code === ends || code === 0, `it ends by itself (${code})`)
        await nothingLeft(t, place)
      },
    )

t.test(
  'gocryptfs, about to be given the channel itself, ends when it is asked to',
  { skip: cannotGraft('gocryptfs'), timeout: 120_000 },
  async (t) => {
    const { ends = 0, ...daemon }: StockDaemon = stockDaemons.gocryptfs
    for (let after = 0; after < HEAL_MS; after += STEP_MS) {
      const place = placeFor(t)
      const managed = await Managed.serving(place, {
        daemon: daemon.command(place),
        options: [...unlimited, ...patient, '--revive', 'graft'],
      })
      await managed.crash()
      await pass(after)
      const { code } = await managed.stop()
      t.ok(code === ends || code === 0, `after ${after} ms it ends by itself (${code})`)
      await nothingLeft(t, place)
    }
  },
)

t.test(
  'a mount that is in use is gone from the mount table at once, and served until nobody uses it any more',
  { skip: cannotGraft('rclone-mount2-off'), timeout: 60_000 },
  async (t) => {
    const place = placeFor(t)
    writeFileSync(join(place.source, 'file'), 'x')
    const managed = await Managed.serving(place, {
      daemon: stockDaemons['rclone-mount2-off'].command(place),
      options: [...unlimited, ...patient, '--revive', 'graft'],
    })
    const application = new Application(place)
    await application.do('openSync', join(place.mount, 'file'), 'r')
    await managed.crash()
    const ended = managed.stop()
    await until(() => place.mounts().every(({ mountpoint }) => mountpoint !== place.mount), 'a mount table without it')
    application.kill()
    t.same(await ended, { code: stockDaemons['rclone-mount2-off'].ends, signal: null })
    await nothingLeft(t, place)
  },
)
