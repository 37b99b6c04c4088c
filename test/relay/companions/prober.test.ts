// What the kernel says of the nodeids that it holds, on a mount whose daemon does nothing but answer.

import { spawn } from 'node:child_process'
import { closeSync, constants, openSync, statSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { serversAmong } from '../../../src/capture/find-mount.js'
import { channelFdsOf, takeFd } from '../../../src/capture/take-channels.js'
import { resolverQuestions } from '../../../src/elf/resolver.js'
import { connectionOf } from '../../../src/kernel/mountinfo.js'
import { familyOf } from '../../../src/kernel/process.js'
import { closeFd } from '../../../src/native/descriptor.js'
import type { Pid, RemoteFd } from '../../../src/native/types.js'
import { Companion } from '../../../src/relay/companions/companion.js'
import { handlesOf } from '../../../src/relay/in-use/looking.js'
import { until } from '../../fixtures/deadline.js'
import { placeFor } from '../../fixtures/place.js'
import { cannotGraft, stockDaemons } from '../../fixtures/stock-daemons.js'
import { heldBy } from '../held-by.js'

t.test('the questions to a companion have numbers of their own', async (t) => {
  const numbers = Object.values(resolverQuestions)
  t.equal(new Set(numbers).size, numbers.length, `${numbers}`)
})

t.test(
  'the kernel holds a nodeid that is in use, and none that nobody was given',
  { skip: cannotGraft('bindfs') },
  async (t) => {
    const place = placeFor(t)
    writeFileSync(place.path('source/file'), 'bytes')
    const [program = '', ...args] = stockDaemons.bindfs.command(place)
    const daemon = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env: place.env, cwd: place.folder })
    place.undo(() => daemon.kill('SIGKILL'))
    const connection = connectionOf((await place.mounted()).device)
    const servers = (): Pid[] => serversAmong(familyOf((daemon.pid ?? 0) as Pid), connection)
    await until(() => servers().length > 0, 'a daemon that serves')
    const [server = 0 as Pid] = servers()
    const channel = takeFd(server, channelFdsOf(server, connection)[0] ?? (0 as RemoteFd))
    const [writer, looker] = [Companion.start(channel), Companion.start(null)]
    place.undo(() => {
      for (const companion of [writer, looker]) companion?.end()
      closeFd(channel)
    })
    const fd = openSync(`${place.mount}/file`, constants.O_RDONLY)
    t.teardown(() => closeSync(fd))
    statSync(`${place.mount}/file`)
    const [known] = handlesOf(looker?.socket ?? -1, [`/proc/${process.pid}/fd/${fd}`])
    t.ok(known, 'the nodeid of the open file')
    const ids = [known?.node.low ?? 0, known?.node.high ?? 0, 0x1234_5678, 0x9abc, 1, 0]
    t.same(writer && heldBy(writer.socket, ids), [true, false, true])
  },
)
