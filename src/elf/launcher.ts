// The launcher: the last step before a daemon's own program. It waits for one byte, the word to go: until then a killed
// supervisor takes it along. It then puts the channel where sd_listen_fds(3) has it, and its own pid, which is known only
// after the fork, into LISTEN_PID; no shell may stand between us and a user's argv. The daemon keeps that pid.
//
//   argv: launcher PATH ARGV0 ARGS…      exit 127: no such program, 126: it cannot be run (as env(1)), 125: no word came
//   fd 3: the word                       becomes the channel if the environment has LISTEN_PID; closed if not
//   fd 4: the channel, if there is one   closed
//
// Without an fd 3 there is nothing to wait for, and no fd is touched.
import { address, at, frame, type Program } from './program.js'

const ENVIRONMENT = 0
const HAS_CHANNEL = 8
const WORD_BYTE = 16
const TEXT_END = 63
const FRAME_SIZE = 64
const ARGC = FRAME_SIZE
const ARGV = FRAME_SIZE + 8

const WORD = 3
const CHANNEL = 4
const ENOENT = 2
const EINTR = 4
const EBADF = 9
const ENOTDIR = 20
const NUL = 0
const ZERO = '0'.charCodeAt(0)
const EQUALS = '='.charCodeAt(0)

export const launcher: Program = {
  name: 'keepmount-launcher',
  variables: ['text', 'from', 'letter', 'entry', 'theirs', 'other'],
  frameSize: FRAME_SIZE,
  rows: [
    ['load', 'entry', 8, frame(ARGC)],
    ['if', 'entry', '<', 3, 'unusable'],

    // `LISTEN_PID=<our pid>`, written from its end to its beginning.
    ['call', 'getpid'],
    ['move', 'from', 'result'],
    ['move', 'text', frame(TEXT_END)],
    ['store', 1, at('text'), NUL],
    ['label', 'digit'],
    ['divide', 'from', 'letter', 10],
    ['add', 'letter', ZERO],
    ['add', 'text', -1],
    ['store', 1, at('text'), 'letter'],
    ['if', 'from', '!=', 0, 'digit'],
    ['move', 'from', address('name_end')],
    ['label', 'prefix'],
    ['add', 'from', -1],
    ['add', 'text', -1],
    ['load', 'letter', 1, at('from')],
    ['store', 1, at('text'), 'letter'],
    ['if', 'from', '!=', address('name'), 'prefix'],

    // envp = &argv[argc + 1]
    ['add', 'entry', 'entry'],
    ['add', 'entry', 'entry'],
    ['add', 'entry', 'entry'],
    ['move', 'from', frame(ARGV + 8)],
    ['add', 'entry', 'from'],
    ['store', 8, frame(ENVIRONMENT), 'entry'],
    ['store', 8, frame(HAS_CHANNEL), 0],

    // Every entry that begins as ours does, up to the `=`, becomes ours.
    ['label', 'entry'],
    ['load', 'theirs', 8, at('entry')],
    ['if', 'theirs', '==', 0, 'wait'],
    ['move', 'from', 'text'],
    ['label', 'compare'],
    ['load', 'letter', 1, at('from')],
    ['load', 'other', 1, at('theirs')],
    ['if', 'letter', '!=', 'other', 'next_entry'],
    ['add', 'from', 1],
    ['add', 'theirs', 1],
    ['if', 'letter', '!=', EQUALS, 'compare'],
    ['store', 8, at('entry'), 'text'],
    ['store', 8, frame(HAS_CHANNEL), 1],
    ['label', 'next_entry'],
    ['add', 'entry', 8],
    ['goto', 'entry'],

    ['label', 'wait'],
    ['call', 'read', WORD, frame(WORD_BYTE), 1],
    ['if', 'result', '==', -EINTR, 'wait'],
    ['if', 'result', '==', -EBADF, 'execute'],
    ['move', 'letter', 125],
    ['if', 'result', '!=', 1, 'exit'],
    ['call', 'close', WORD],
    ['load', 'letter', 8, frame(HAS_CHANNEL)],
    ['if', 'letter', '==', 0, 'execute'],
    ['call', 'dup3', CHANNEL, WORD, 0],
    ['call', 'close', CHANNEL],

    ['label', 'execute'],
    ['load', 'from', 8, frame(ARGV + 8)],
    ['load', 'entry', 8, frame(ENVIRONMENT)],
    ['call', 'execve', 'from', frame(ARGV + 16), 'entry'],
    ['move', 'letter', 127],
    ['if', 'result', '==', -ENOENT, 'exit'],
    ['if', 'result', '==', -ENOTDIR, 'exit'],
    ['label', 'unusable'],
    ['move', 'letter', 126],
    ['label', 'exit'],
    ['call', 'exit_group', 'letter'],

    ['label', 'name'],
    ['data', Buffer.from('LISTEN_PID=')],
    ['label', 'name_end'],
    ['data', Buffer.from([NUL])],
  ],
}
