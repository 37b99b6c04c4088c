import t from 'tap'
import { connectionOf, isFuse, ownerOf, parseMountinfo } from '../../src/kernel/mountinfo.js'

const rows = [
  {
    line: '42 27 0:39 / /tmp/m rw,nosuid,nodev,relatime - fuse /tmp/s rw,user_id=0,group_id=0',
    mount: {
      mountId: 42,
      parentId: 27,
      device: '0:39',
      root: '/',
      mountpoint: '/tmp/m',
      type: 'fuse',
      source: '/tmp/s',
    },
  },
  {
    // optional fields before the dash, an escaped space, tab and backslash, and UTF-8 as it is
    line: '43 27 0:40 /a\\040b /mnt/x\\040y\\011z\\134\u00e4 rw shared:7 master:2 - fuse.sshfs host:/ rw',
    mount: { mountId: 43, device: '0:40', root: '/a b', mountpoint: '/mnt/x y\tz\\\u00e4', type: 'fuse.sshfs' },
  },
  {
    line: '44 27 8:1 / /win rw - fuseblk /dev/sda1 rw',
    mount: { device: '8:1', type: 'fuseblk' },
  },
]

for (const { line, mount } of rows)
  t.test(`a line of mountinfo is read: ${line}`, async (t) => t.match(parseMountinfo(`${line}\n`), [mount]))

t.test('a line that is cut short is left out', async (t) =>
  t.strictSame(parseMountinfo('42 27 0:39 / /tmp/m rw\n'), []),
)

for (const [device, connection] of [
  ['0:39', 39],
  ['0:1048575', 1048575],
  ['8:1', 8388609],
] as const)
  t.test(`the connection of device ${device} is ${connection}`, async (t) => t.equal(connectionOf(device), connection))

for (const [type, is] of [
  ['fuse', true],
  ['fuse.sshfs', true],
  ['fuseblk', true],
  ['fuseblk.ntfs', true],
  ['fusectl', false],
  ['fusefs', false],
] as const)
  t.test(`${type} ${is ? 'is' : 'is not'} a FUSE mount`, async (t) => t.equal(isFuse(type), is))

const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0]
for (const [options, owner] of [
  [`rw,user_id=${uid + 1},group_id=${gid}`, { uid: uid + 1, gid }],
  [`rw,user_id=${uid},group_id=${gid + 1},default_permissions`, { uid, gid: gid + 1 }],
  [`rw,user_id=${uid},group_id=${gid}`, null],
  [`rw,user_id=${uid + 1},group_id=${gid},allow_other`, null],
  ['rw', null],
] as const)
  t.test(`who alone may use a mount with ${options}`, async (t) => {
    const [mount] = parseMountinfo(`42 27 0:39 / /tmp/m rw - fuse it ${options}\n`)
    t.same(mount && ownerOf(mount), owner)
  })
