// The prober: touches a mount in place of the supervisor, which must never wait for one. A statfs(2) of the mount's root is
// answered by the daemon; the exit code is the errno, 0 if it was answered well, 22 (EINVAL) without an argument.
import { address, frame, type Program } from './program.js'

/** struct statfs has 120 bytes on both machines. */
const FRAME_SIZE = 128
const ARGC = FRAME_SIZE
const ARGV = FRAME_SIZE + 8
const PR_SET_NAME = 15
const EINVAL = 22

export const prober: Program = {
  name: 'keepmount-prober',
  variables: ['argc', 'path', 'status'],
  frameSize: FRAME_SIZE,
  rows: [
    ['call', 'prctl', PR_SET_NAME, address('name'), 0, 0, 0],
    ['move', 'status', EINVAL],
    ['load', 'argc', 8, frame(ARGC)],
    ['if', 'argc', '<', 2, 'exit'],
    ['load', 'path', 8, frame(ARGV + 8)],
    ['call', 'statfs', 'path', frame(0)],
    ['move', 'status', 'result'],
    ['negate', 'status'],
    ['label', 'exit'],
    ['call', 'exit_group', 'status'],

    ['label', 'name'],
    ['data', Buffer.from('keepmount-probe\0')],
  ],
}
