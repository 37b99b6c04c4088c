// The kernel gives a connection the number of one that is gone, also while somebody has the channel of that open still: as
// the holders of a keepmount that was killed, and whose mount somebody has unmounted since.
import t from 'tap'
import { takeFd } from '../../src/capture/take-channels.js'
import { fuseFdsOf } from '../../src/kernel/process.js'
import { closeFd } from '../../src/native/descriptor.js'
import { umount, umountFlags } from '../../src/native/mount.js'
import type { Pid } from '../../src/native/types.js'
import { nothingLeft } from '../fixtures/after-all.js'
import { Child } from '../fixtures/child.js'
import { until } from '../fixtures/deadline.js'
import { Managed } from '../fixtures/managed.js'
import { placeFor } from '../fixtures/place.js'
import { grafted } from '../fixtures/ways.js'

const connectionsOf = (pid: number) => fuseFdsOf(pid as Pid).map(({ connection }) => connection)

for (const way of grafted('bindfs'))
  t.test('who has kept a channel of the same number is not taken for the daemon', { skip: way.skip }, async (t) => {
    const [place, other] = [placeFor(t), placeFor(t)]
    const bare = new Child(way.daemon(other), { env: other.env, cwd: '/', stdio: 'ignore' })
    other.undo(() => bare.kill())
    await other.mounted()
    const [channel] = fuseFdsOf(bare.pid as Pid)
    if (!channel) throw new Error('it has no channel')
    const copy = takeFd(bare.pid as Pid, channel.fd)
    const keeper = new Child(['sleep', '1000'], { stdio: ['ignore', 'ignore', 'ignore', copy] })
    other.undo(() => keeper.kill())
    await until(() => connectionsOf(keeper.pid).length > 0, 'one that keeps the channel')
    closeFd(copy)
    umount(other.mount, umountFlags.MNT_DETACH)
    await bare.end()

    const managed = await Managed.serving(place, { daemon: way.daemon(place), options: way.options })
    t.same(connectionsOf(keeper.pid), connectionsOf(managed.daemon), 'the number is given out again')
    const before = managed.daemon
    await managed.suspend()
    process.kill(before, 'SIGKILL')
    await managed.child.kill()
    const heir = Managed.adopt(place)
    t.match(await heir.event('revived'), { life: 2 })
    t.not(heir.daemon, before)
    await heir.stop()
    await nothingLeft(t, place)
  })
