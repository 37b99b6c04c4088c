// The warm-up makes the first exchange as short as the later ones, and leaves nothing.
import { readdirSync } from 'node:fs'
import t from 'tap'
import { exchangeFds } from '../../src/graft/exchange.js'
import { warmUp } from '../../src/graft/warm-up.js'
import { childrenOf } from '../../src/kernel/process.js'
import { noCompiler } from '../fixtures/compiled.js'
import { CHANNEL, pairFor, Victim } from './victim.js'

t.test('it leaves no process and no descriptor', { skip: process.getuid?.() !== 0 && 'needs root' }, async (t) => {
  await warmUp()
  const before = [childrenOf('self'), readdirSync('/proc/self/fd').length]
  await warmUp()
  t.same([childrenOf('self'), readdirSync('/proc/self/fd').length], before)
})

t.test(
  'an exchange after it works at once',
  { skip: process.getuid?.() !== 0 ? 'needs root' : noCompiler },
  async (t) => {
    const victim = await Victim.start(t, ['reads', 'sleeps', 'polls'])
    const [ours, theirs] = pairFor(t)
    const { stopUs } = exchangeFds(victim.pid, [CHANNEL], theirs)
    t.comment(`the first exchange stopped it for ${Math.round(stopUs)} us`)
    victim.reachedBy(ours)
    await victim.stillWorks(t)
  },
)
