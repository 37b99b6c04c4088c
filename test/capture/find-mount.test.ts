// Which mount is a daemon's own: others are mounted on the machine at the same time.
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { familyOf, fuseFdsOf } from '../../src/kernel/process.js'
import type { Pid } from '../../src/native/types.js'
import { nothingLeft, worksOn } from '../fixtures/after-all.js'
import { until } from '../fixtures/deadline.js'
import { Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { mirrorCommand } from '../fixtures/project.js'

/** Has a file of the FUSE device open for as long as `gate` is not there, and mounts only then. */
const behindGate = (gate: string, daemon: readonly string[]): string[] => [
  ...['/bin/sh', '-c', 'exec 9<>/dev/fuse; while ! [ -e "$0" ]; do sleep 0.05; done; exec 9>&-; exec "$@"'],
  ...[gate, ...daemon],
]

t.test(
  'a mount that somebody makes while the daemon has opened its channel and not mounted yet is not ours',
  async (t) => {
    const place = placeFor(t)
    const other = placeFor(t)
    const gate = place.path('gate')
    const managed = Managed.run(place, {
      daemon: behindGate(gate, mirrorCommand(place.source, place.mount)),
      options: ['--revive', 'inherit'],
    })
    const opened = () => familyOf(managed.pid as Pid).some((pid) => fuseFdsOf(pid).length > 0)
    await until(opened, 'a daemon that has opened the device')
    const first = await Managed.serving(other)
    // Each change of the mount table is a reason to look.
    await sleep(200)
    t.equal(managed.log.find('mounted'), undefined, 'nothing is ours yet')
    writeFileSync(gate, '')
    const { mountpoint } = await managed.event('mounted')
    t.equal(mountpoint, place.mount)
    await managed.stop()
    await worksOn(t, other)
    await first.stop()
    await nothingLeft(t, place)
    await nothingLeft(t, other)
  },
)
