// The first exchange of a process takes ten times as long as the later ones: code is loaded and compiled for it. So it is
// done beforehand, on a process of ours that waits for nothing.
import { executable } from '../elf/executable.js'
import { startChild } from '../kernel/children.js'
import { closeFd } from '../native/descriptor.js'
import { socketpair } from '../native/socket.js'
import type { RemoteFd } from '../native/types.js'
import { exchangeFds } from './exchange.js'

const ROUNDS = 20
const WORD = 3 as RemoteFd

/**
 * To be called some time before the first exchange, when nobody waits. A failure is none: what is wrong will show when it
 * matters.
 */
export async function warmUp(): Promise<void> {
  const [ours, theirs] = socketpair('seqpacket')
  const child = startChild({
    program: executable('launcher'),
    argv: ['keepmount-warm-up', '/', ''],
    cwd: '/',
    env: {},
    fds: [null, null, null, theirs],
  })
  try {
    for (let i = 0; i < ROUNDS; i++) {
      exchangeFds(child.pid, [WORD], theirs)
      await new Promise((resolve) => setImmediate(resolve))
    }
  } catch {
    // As it says above.
  } finally {
    child.kill()
    closeFd(ours)
    closeFd(theirs)
    await child.ended
  }
}
