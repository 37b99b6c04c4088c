// Unmounts in another mount namespace, whose descriptor is fd 3. A mount that is in use there stays. Exit code: the errno
// of the last that failed, 0 if none did.
//
//   argv: detach MOUNTPOINT…
import { at, frame, type Program } from './program.js'

const FRAME_SIZE = 16
const ARGV = FRAME_SIZE + 8
const NAMESPACE = 3
const CLONE_NEWNS = 0x20000
const UMOUNT_NOFOLLOW = 8

export const detach: Program = {
  name: 'keepmount-detach',
  variables: ['cursor', 'path', 'status'],
  frameSize: FRAME_SIZE,
  rows: [
    ['call', 'setns', NAMESPACE, CLONE_NEWNS],
    ['move', 'status', 'result'],
    ['if', 'status', '!=', 0, 'exit'],
    ['move', 'cursor', frame(ARGV)],
    ['label', 'next'],
    ['add', 'cursor', 8],
    ['load', 'path', 8, at('cursor')],
    ['if', 'path', '==', 0, 'exit'],
    ['call', 'umount2', 'path', UMOUNT_NOFOLLOW],
    ['if', 'result', '==', 0, 'next'],
    ['move', 'status', 'result'],
    ['goto', 'next'],
    ['label', 'exit'],
    ['negate', 'status'],
    ['call', 'exit_group', 'status'],
  ],
}
