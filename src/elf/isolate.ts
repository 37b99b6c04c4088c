// The step before the launcher for a life that makes its own mount: a mount namespace in which the mounts that it must not
// see are gone. What is mounted later on the host arrives there, what is mounted there stays there.
//
//   argv: isolate MOUNTPOINT… "" PROGRAM ARGV0 ARGS…
//   fd 3: written to: | u32 step | u32 errno |, both 0 before PROGRAM is run; exit code 120 + step
import { address, at, frame, type Program } from './program.js'

/** What has failed. */
export const isolateSteps = {
  unshare: 1,
  'mount --make-rslave': 2,
  umount: 3,
  execve: 4,
} as const
export const ISOLATE_EXIT = 120
export const ISOLATE_REPORT_SIZE = 8

const REPORT_STEP = 0
const REPORT_ERRNO = 4
const FRAME_SIZE = 16
const ARGC = FRAME_SIZE
const ARGV = FRAME_SIZE + 8

const WORD = 3
const CLONE_NEWNS = 0x20000
const MS_REC_SLAVE = 0x84000
const DETACH_NOFOLLOW = 2 | 8
const ENOENT = 2
const EINVAL = 22

export const isolate: Program = {
  name: 'keepmount-isolate',
  variables: ['cursor', 'path', 'letter', 'step', 'errno', 'envp'],
  frameSize: FRAME_SIZE,
  rows: [
    // envp = &argv[argc + 1]
    ['load', 'envp', 8, frame(ARGC)],
    ['add', 'envp', 'envp'],
    ['add', 'envp', 'envp'],
    ['add', 'envp', 'envp'],
    ['move', 'path', frame(ARGV + 8)],
    ['add', 'envp', 'path'],

    ['move', 'step', isolateSteps.unshare],
    ['call', 'unshare', CLONE_NEWNS],
    ['if', 'result', '!=', 0, 'failed'],
    ['move', 'step', isolateSteps['mount --make-rslave']],
    ['call', 'mount', 0, address('root'), 0, MS_REC_SLAVE, 0],
    ['if', 'result', '!=', 0, 'failed'],

    ['move', 'step', isolateSteps.umount],
    ['move', 'cursor', frame(ARGV)],
    ['label', 'next'],
    ['add', 'cursor', 8],
    ['load', 'path', 8, at('cursor')],
    ['move', 'result', -EINVAL],
    ['if', 'path', '==', 0, 'failed'],
    ['load', 'letter', 1, at('path')],
    ['if', 'letter', '==', 0, 'execute'],
    ['call', 'umount2', 'path', DETACH_NOFOLLOW],
    // Gone meanwhile, or with the mount that it was on: that is what was wanted.
    ['if', 'result', '==', 0, 'next'],
    ['if', 'result', '==', -EINVAL, 'next'],
    ['if', 'result', '==', -ENOENT, 'next'],
    ['goto', 'failed'],

    ['label', 'execute'],
    ['store', 8, frame(REPORT_STEP), 0],
    ['call', 'write', WORD, frame(REPORT_STEP), ISOLATE_REPORT_SIZE],
    ['move', 'step', isolateSteps.execve],
    ['add', 'cursor', 8],
    ['load', 'path', 8, at('cursor')],
    ['add', 'cursor', 8],
    ['call', 'execve', 'path', 'cursor', 'envp'],

    ['label', 'failed'],
    ['move', 'errno', 'result'],
    ['negate', 'errno'],
    ['store', 4, frame(REPORT_STEP), 'step'],
    ['store', 4, frame(REPORT_ERRNO), 'errno'],
    ['call', 'write', WORD, frame(REPORT_STEP), ISOLATE_REPORT_SIZE],
    ['add', 'step', ISOLATE_EXIT],
    ['call', 'exit_group', 'step'],

    ['label', 'root'],
    ['data', Buffer.from('/\0')],
  ],
}
