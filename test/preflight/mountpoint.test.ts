import t from 'tap'
import { look } from '../../src/preflight/look.js'
import { likelyMountpoint } from '../../src/preflight/mountpoint.js'

const commands: [argv: string[], mountpoint: string | null][] = [
  [['sshfs', '-f', 'host:', '/mnt'], '/mnt'],
  [['sshfs', 'host:', 'mnt', '-o', 'ro'], '/home/me/mnt'],
  [['bindfs', '-f', '/mnt/managed', '/mnt/other'], '/mnt/other'],
  [['rclone', 'mount', 'remote:', '/mnt', '--vfs-cache-mode', 'full'], '/mnt'],
  [['daemon', '--foreground', '/mnt'], '/mnt'],
  [['daemon', '-f', '-d'], null],
  [['daemon'], null],
]
for (const [argv, mountpoint] of commands) {
  t.test(`${argv.join(' ')} mounts at ${mountpoint ?? 'no known place'}, most likely`, async (t) => {
    t.equal(likelyMountpoint({ argv, cwd: '/home/me' }), mountpoint)
  })
}

const root = t.testdir({ folder: {}, file: '', link: t.fixture('symlink', 'folder') })
const looks: [name: string, path: string, seen: object][] = [
  ['a folder', `${root}/folder`, { path: `${root}/folder`, isFolder: true, problem: null }],
  ['a file', `${root}/file`, { isFolder: false, problem: null }],
  ['a link to a folder', `${root}/link`, { path: `${root}/folder`, isFolder: true, problem: null }],
  ['nothing', `${root}/none`, { isFolder: false, problem: 'no such file or directory' }],
]
for (const [name, path, seen] of looks) {
  t.test(`a child sees ${name}`, async (t) => t.match(await look(path), seen))
}
