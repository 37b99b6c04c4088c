// scripts/demo, in a pipe: it ends well, and leaves nothing when it is interrupted.
import t from 'tap'
import { readMounts } from '../../src/kernel/mountinfo.js'
import { Child } from '../fixtures/child.js'
import { builtProgram } from '../fixtures/project.js'
import { stockDaemons } from '../fixtures/stock-daemons.js'
import { skip } from '../hold/scene.js'

const { NODE_OPTIONS, ...environment } = process.env
const demo = (): Child => new Child([process.execPath, builtProgram('scripts/demo')], { env: environment })
const folderIn = (text: string): string => /^\$ cd (\S+)$/m.exec(text)?.[1] ?? 'unknown'
const isMounted = (text: string): boolean =>
  readMounts().some(({ mountpoint }) => mountpoint.startsWith(`${folderIn(text)}/`))

t.test('scripts/demo', { skip }, async (t) => {
  t.test('kills a daemon five times, and no application notices', async (t) => {
    const child = demo()
    t.teardown(() => child.kill('SIGTERM'))
    t.same(await child.end(60_000), { code: 0, signal: null }, child.stdout)
    await child.says(/nothing is left/)
    t.match(child.stdout, /0 errors in [\d,]+ lines written and [\d,]+ blocks read/)
    t.match(child.stdout, /life 6 after/)
    if (stockDaemons.bindfs.missing === false) t.match(child.stdout, /healed [\d.]+ m?s later/)
    t.notMatch(child.stdout, '\u001b', 'without colours')
    t.notOk(isMounted(child.stdout))
  })

  t.test('takes everything away when it is interrupted', async (t) => {
    const child = demo()
    t.teardown(() => child.kill('SIGTERM'))
    await child.says(/life 2 after/)
    child.process.kill('SIGINT')
    t.same(await child.end(), { code: 130, signal: null })
    t.notOk(isMounted(child.stdout))
  })
})
