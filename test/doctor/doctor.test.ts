// doctor on the machine the tests run on: what it says, and that it leaves nothing of what it tried.
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { needs } from '../../src/doctor/check.js'
import { checks } from '../../src/doctor/checks.js'
import { diagnose } from '../../src/doctor/index.js'
import { notifications, probeNotify } from '../../src/doctor/notify-probe.js'
import { TrialConnection } from '../../src/doctor/trial-connection.js'
import { connectionNumbers } from '../../src/kernel/connection.js'
import { readFuseMounts } from '../../src/kernel/mountinfo.js'
import { childrenOf } from '../../src/kernel/process.js'
import { runToEnd } from '../fixtures/child.js'
import { placeFor } from '../fixtures/place.js'
import { keepmountCommand } from '../fixtures/project.js'

const skip = process.getuid?.() === 0 ? false : 'needs root'

t.test('every check has a question, a need and a meaning either way', async (t) => {
  for (const { id, question, needed, ifOk, ifNot } of checks) {
    t.match(id, /^[a-z-]+$/)
    t.match(question, /\?$/)
    t.ok(needs.includes(needed))
    t.ok(ifOk.length > 10 && ifNot.length > 10, id)
  }
  t.equal(new Set(checks.map(({ id }) => id)).size, checks.length)
})

t.test('run can work where these tests run, and nothing stays of the trials', { skip }, async (t) => {
  await diagnose()
  const before = leftovers()
  const report = await diagnose()
  t.equal(report.ok, true)
  for (const { id, needed, ok, detail, meaning } of report.checks) {
    if (needed === 'run') t.equal(ok, true, `${id}: ${detail}`)
    t.type(detail, 'string')
    t.ok(ok === null || meaning.length > 0)
  }
  t.strictSame(leftovers(), before)
})

t.test('a code that no kernel knows is refused, as the probe takes for no', { skip }, async (t) => {
  const trial = TrialConnection.open()
  try {
    t.equal(trial.notify(9999), 22)
    t.match(trial.protocol, /^7\.\d+$/)
  } finally {
    trial.close()
  }
})

for (const name of Object.keys(notifications) as (keyof typeof notifications)[]) {
  t.test(`${name} is probed without a trace`, { skip }, async (t) => {
    const before = leftovers()
    t.type(probeNotify(name), 'boolean')
    t.strictSame(leftovers(), before)
  })
}

t.test(
  'the command says what it found, as JSON too, and its exit code tells whether run can work',
  { skip },
  async (t) => {
    const place = placeFor(t)
    const doctor = (...argv: string[]) =>
      runToEnd([...argv, process.execPath, keepmountCommand, 'doctor', '--json'], { env: place.env })
    const fine = await doctor('env', '-u', 'NODE_OPTIONS')
    t.equal(fine.code, 0, fine.stderr)
    t.match(JSON.parse(fine.stdout), {
      ok: true,
      checks: checks.map(({ id, question, needed }) => ({ id, question, needed })),
    })
    const withNothingAt = (paths: string) =>
      doctor(
        'env',
        '-u',
        'NODE_OPTIONS',
        'unshare',
        '-m',
        'sh',
        '-c',
        'for path in $1; do mount --bind /dev/null "$path" || exit; done; shift; exec "$@"',
        'sh',
        paths,
      )
    const bad = await withNothingAt('/dev/fuse')
    t.equal(bad.code, 1, bad.stderr)
    t.match(JSON.parse(bad.stdout), { ok: false, checks: [{ id: 'fuse-device', ok: false, meaning: /modprobe fuse/ }] })
    const nameless = await withNothingAt('/etc/passwd /etc/nsswitch.conf')
    t.equal(nameless.code, 0, `a user without a name, as in many containers: ${nameless.stderr}`)
    const told = await runToEnd([process.execPath, keepmountCommand, 'doctor'], { env: place.env })
    for (const { id, question } of checks) t.ok(told.stdout.includes(id) && told.stdout.includes(question), id)
    t.match(told.stdout, /keepmount run can work here\n$/)
  },
)

/** What a trial could leave: open files and children of ours, mounts and connections. */
function leftovers(): object {
  const own = readFuseMounts().length
  return {
    fds: readdirSync('/proc/self/fd').length,
    children: childrenOf('self').length,
    mounts: own,
    connections: connectionNumbers().length - own,
    traced: /^TracerPid:.*/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[0],
  }
}
