import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findCommand } from '../../src/preflight/command.js'

const root = t.testdir({ a: { tool: '', dir: {} }, b: { tool: '', other: '' }, c: {} })
for (const path of ['b/tool', 'b/other']) chmodSync(join(root, path), 0o755)
mkdirSync(join(root, 'c/tool'))
writeFileSync(join(root, 'plain'), '')
const env = (...folders: string[]) => ({ PATH: folders.join(':') })

const found: [name: string, command: string, env: Record<string, string>, path: string][] = [
  ['in the first folder that has it', 'other', env('/nowhere', join(root, 'b')), 'b/other'],
  ['behind a file that is not executable', 'tool', env(join(root, 'a'), join(root, 'b')), 'b/tool'],
  ['behind a folder of its name', 'tool', env(join(root, 'c'), join(root, 'b')), 'b/tool'],
  ['in a relative folder of PATH', 'tool', env('b'), 'b/tool'],
  ['in an empty entry of PATH, which is the present folder', './b/../b/tool', env(''), 'b/tool'],
  ['by a relative path', 'b/tool', env('/nowhere'), 'b/tool'],
  ['by an absolute path', join(root, 'b/tool'), {}, 'b/tool'],
]
for (const [name, command, env, path] of found) {
  t.test(`finds a command ${name}`, async (t) =>
    t.equal(findCommand({ argv: [command], cwd: root, env }), join(root, path)),
  )
}

t.test('without PATH looks where execvp does', async (t) => {
  t.match(findCommand({ argv: ['sh'], cwd: '/', env: {} }), /^\/(usr\/)?bin\/sh$/)
})

const refused: [name: string, command: string, env: Record<string, string>, error: Record<string, unknown>][] = [
  ['is nowhere', 'nope', env(join(root, 'a')), { code: 'COMMAND_NOT_FOUND', exitCode: 127 }],
  ['is empty', '', env(root), { code: 'COMMAND_NOT_FOUND', exitCode: 127 }],
  ['lies below a file', 'plain/x', {}, { code: 'COMMAND_NOT_FOUND', exitCode: 127 }],
  [
    'is not executable',
    'tool',
    env(join(root, 'a')),
    { code: 'COMMAND_NOT_EXECUTABLE', exitCode: 126, facts: { reason: 'permission denied' } },
  ],
  [
    'is a folder',
    'tool',
    env(join(root, 'c')),
    { code: 'COMMAND_NOT_EXECUTABLE', facts: { reason: 'it is a folder' } },
  ],
  ['is a device', '/dev/null', {}, { code: 'COMMAND_NOT_EXECUTABLE', facts: { reason: 'it is no regular file' } }],
]
for (const [name, command, env, error] of refused) {
  t.test(`refuses a command that ${name}`, async (t) => {
    t.match(
      thrownBy(() => findCommand({ argv: [command], cwd: root, env })),
      error,
    )
  })
}

function thrownBy(action: () => unknown): unknown {
  try {
    return action()
  } catch (error) {
    return error
  }
}
