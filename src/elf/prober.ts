// The prober: touches a mount in place of the supervisor, which must never wait for one. A statfs(2) of the mount's root is
// answered by the daemon; the exit code is the errno, 0 if it was answered well, 22 (EINVAL) without an argument.
import { address, frame, type Program } from './program.js'

/** struct statfs has 120 bytes on both machines. */
const FRAME_SIZE = 128
const ARGC = FRAME_SIZE
const ARGV = FRAME_SIZE + 8
const PR_SET_NAME = 15
const EINVAL = 22
const AT_FDCWD = -100
const OPEN_TREE_CLONE = 1
const O_CLOEXEC = 0o2000000

export const prober: Program = {
  name: 'keepmount-prober',
  variables: ['argc', 'path', 'tree', 'status'],
  frameSize: FRAME_SIZE,
  rows: [
    ['call', 'prctl', PR_SET_NAME, address('name'), 0, 0, 0],
    ['move', 'status', EINVAL],
    ['load', 'argc', 8, frame(ARGC)],
    ['if', 'argc', '<', 2, 'exit'],
    ['load', 'path', 8, frame(ARGV + 8)],
    // In a copy of the mount that is attached nowhere: the mount itself can be unmounted while this waits. Without the right
    // to copy it, and for a mount of another namespace, the mount itself.
    ['call', 'open_tree', AT_FDCWD, 'path', OPEN_TREE_CLONE + O_CLOEXEC],
    ['move', 'tree', 'result'],
    ['if', 'tree', '<', 0, 'itself'],
    ['call', 'fstatfs', 'tree', frame(0)],
    ['goto', 'answered'],
    ['label', 'itself'],
    ['call', 'statfs', 'path', frame(0)],
    ['label', 'answered'],
    ['move', 'status', 'result'],
    ['negate', 'status'],
    ['label', 'exit'],
    ['call', 'exit_group', 'status'],

    ['label', 'name'],
    ['data', Buffer.from('keepmount-probe\0')],
  ],
}
