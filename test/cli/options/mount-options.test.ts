import { Command } from 'commander'
import t from 'tap'
import { parseInFlight } from '../../../src/cli/options/in-flight.js'
import { addMountOptions, readMountOptions } from '../../../src/cli/options/mount-options.js'
import { defaultName, isName } from '../../../src/cli/options/name.js'
import { defaultOptions } from '../../../src/supervise/options.js'

const daemon = ['sshfs', '-f', 'host:', '/mnt']

const read = (...argv: string[]) => {
  const command = addMountOptions(new Command('keepmount run'))
  command.parse(argv, { from: 'user' })
  return readMountOptions(command, daemon, '/work')
}

t.test('without options all are the defaults', async (t) => {
  t.match(read(), { ...defaultOptions, argv: daemon, cwd: '/work', name: defaultName(daemon, '/work') })
})

const rows: [argv: string[], read: object][] = [
  [['--name', 'data'], { name: 'data' }],
  [['--mountpoint', '/mnt/./a/../b/'], { mountpoint: '/mnt/b' }],
  [['--revive', 'remount'], { revive: 'remount' }],
  [['--in-flight', 'hold'], { inFlight: { kind: 'hold' } }],
  [['--in-flight=fail:EIO'], { inFlight: { kind: 'fail', errno: 5 } }],
  [['--restart', 'on-abnormal'], { restart: 'on-abnormal' }],
  [['--restart-sec', '500ms'], { restartSec: 0.5 }],
  [['--restart-steps', '3'], { restartSteps: 3 }],
  [['--restart-max-delay-sec', '1min'], { restartMaxDelaySec: 60 }],
  [['--start-limit-burst', '0'], { startLimitBurst: 0 }],
  [['--start-limit-interval-sec', '0'], { startLimitIntervalSec: 0 }],
  [['--hold-timeout', '2min 20s'], { holdTimeoutSec: 140 }],
  [['--on-give-up', 'umount'], { onGiveUp: 'umount' }],
  [['--timeout-start-sec', '5'], { timeoutStartSec: 5 }],
  [['--timeout-stop-sec', '5.5'], { timeoutStopSec: 5.5 }],
  [['--holders', '3'], { holders: 3 }],
]
for (const [argv, expected] of rows) {
  t.test(`takes ${argv.join(' ')}`, async (t) => t.match(read(...argv), expected))
}

t.test('a command that says where the channel goes is handed it, unless something else is asked for', async (t) => {
  const reviveOf = (daemon: string[], ...argv: string[]) => {
    const command = addMountOptions(new Command('keepmount run'))
    command.parse(argv, { from: 'user' })
    return readMountOptions(command, daemon, '/work').revive
  }
  t.equal(reviveOf(['mydaemon', '--channel={fd}', '/mnt']), 'inherit')
  t.equal(reviveOf(['mydaemon', '--channel={fd}', '/mnt'], '--revive', 'graft'), 'graft')
  t.equal(reviveOf(['mydaemon', '/mnt']), 'graft')
})

const refused: string[][] = [
  ['--name', ''],
  ['--name', '..'],
  ['--name', '.hidden'],
  ['--name', '-x'],
  ['--name', 'a/b'],
  ['--name', 'a b'],
  ['--name', 'x'.repeat(65)],
  ['--mountpoint', ''],
  ['--revive', 'maybe'],
  ['--in-flight', 'fail'],
  ['--restart', 'sometimes'],
  ['--restart-sec', 'soon'],
  ['--restart-steps', '-1'],
  ['--restart-steps', '1.5'],
  ['--start-limit-burst', '1e3'],
  ['--hold-timeout', '0'],
  ['--on-give-up', 'cry'],
  ['--timeout-start-sec', '0'],
  ['--timeout-stop-sec', 'infinity'],
  ['--holders', '0'],
  ['--holders', '99'],
]
for (const argv of refused) {
  t.test(`refuses ${argv.join(' ')}`, async (t) => {
    t.throws(() => read(`${argv[0]}=${argv[1]}`), {
      code: 'BAD_OPTION',
      facts: { option: argv[0], value: argv[1] },
      exitCode: 125,
    })
  })
}

const policies: [text: string, policy: object | null][] = [
  ['resend', { kind: 'resend' }],
  ['hold', { kind: 'hold' }],
  ['fail:ENOENT', { kind: 'fail', errno: 2 }],
  ['fail:etimedout', { kind: 'fail', errno: 110 }],
  ['fail:5', { kind: 'fail', errno: 5 }],
  ['fail:0', null],
  ['fail:512', null],
  ['fail:-5', null],
  ['fail:EFOO', null],
  ['fail:constructor', null],
  ['fail:', null],
  ['fail', null],
  ['resend:EIO', null],
]
for (const [text, policy] of policies) {
  t.test(`reads the in-flight policy ${text}`, async (t) => t.same(parseInFlight(text), policy))
}

t.test('the same command in the same folder has the same name, another has another', async (t) => {
  t.equal(defaultName(daemon, '/work'), defaultName([...daemon], '/work'))
  t.not(defaultName(daemon, '/work'), defaultName(daemon, '/home'))
  t.not(defaultName(daemon, '/work'), defaultName([...daemon, '-d'], '/work'))
  t.not(defaultName(['a', 'b c'], '/'), defaultName(['a', 'b', 'c'], '/'))
})

const commands: [command: string, name: RegExp][] = [
  ['/usr/bin/sshfs', /^sshfs-[0-9a-f]{8}$/],
  ['./my daemon', /^my_daemon-/],
  ['.hidden', /^hidden-/],
  ['…', /^_-/],
  ['', /^daemon-/],
  ['x'.repeat(300), /^x{55}-/],
]
for (const [command, name] of commands) {
  t.test(`names a mount of ‘${command.slice(0, 20)}’ so that it can be a folder`, async (t) => {
    const made = defaultName([command], '/')
    t.match(made, name)
    t.ok(isName(made))
  })
}
