// The holder: keeps channels open, and nothing else. It takes an open file by SCM_RIGHTS on fd 0, closes one on command,
// and never hands any out: who may ptrace it fetches them with pidfd_getfd. fd 1 is the other end of the same socket
// pair: a later supervisor fetches that too, so there is no socket file and no name. Since both ends are open here, a
// read never sees an end. Whatever arrives, it neither dies nor spins: a read that brings nothing is followed by a pause.
// Only before it holds anything does it die with its parent: a supervisor that is killed before it could write the
// holder's pid down leaves none behind.
//
//   command: | u32 op | u32 fd     | u64 token |
//   answer:  | u32 op | i32 result | u64 token |      written into the same 16 bytes
import { address, frame, type Program } from './program.js'

/** The commands of a holder. */
export const holderCommands = {
  /** Keeps the open file that comes with it. Result: its fd in the holder, or -EBADF if none came, -EMFILE if it is full. */
  HOLD: 1,
  /** Closes an fd. */
  DROP: 2,
  PING: 3,
  EXIT: 4,
} as const
export const COMMAND_SIZE = 16

// struct msghdr (recvmsg(2)), struct iovec, struct cmsghdr with one fd (cmsg(3)), and a command.
const MSGHDR = 0
const MSG_IOV = MSGHDR + 16
const MSG_IOVLEN = MSGHDR + 24
const MSG_CONTROL = MSGHDR + 32
const MSG_CONTROLLEN = MSGHDR + 40
const MSG_FLAGS = MSGHDR + 48
const IOV_BASE = 56
const IOV_LEN = 64
const CMSG = 72
const CMSG_TYPE = CMSG + 12
const CMSG_FD = CMSG + 16
const COMMAND = 96
const COMMAND_OP = COMMAND
const COMMAND_FD = COMMAND + 4
const SIGNAL_SET = 112
const FRAME_SIZE = 128

/** CMSG_LEN(sizeof(int)): room for one fd exactly, the kernel closes any more. */
const CMSG_LEN = 20
const SCM_RIGHTS = 1
const MSG_CTRUNC_BIT = 3
const MSG_TRUNC_BIT = 5
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const MSG_CMSG_CLOEXEC = 0x40000000
const SIG_SETMASK = 2
const SIGKILL = 9
const PR_SET_PDEATHSIG = 1
const PR_SET_NAME = 15
const PR_SET_PTRACER = 0x59616d61
const EBADF = 9
const EINVAL = 22
const EMFILE = 24
const ENOSYS = 38

const pause = Buffer.alloc(16)
pause.writeBigInt64LE(100_000_000n, 8) // struct timespec: 0 s, 100 ms

export const holder: Program = {
  name: 'keepmount-holder',
  variables: ['size', 'received', 'flags', 'op', 'fd', 'answer'],
  frameSize: FRAME_SIZE,
  rows: [
    ['store', 8, frame(SIGNAL_SET), -1],
    ['call', 'rt_sigprocmask', SIG_SETMASK, frame(SIGNAL_SET), 0, 8],
    ['call', 'prctl', PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0],
    ['call', 'close_range', 2, 0xffff_ffff, 0],
    ['call', 'setsid'],
    // Only Yama has it: without, it would keep a later supervisor of the same user from ptrace access. -1: any process.
    ['call', 'prctl', PR_SET_PTRACER, -1, 0, 0, 0],
    ['call', 'prctl', PR_SET_NAME, address('name'), 0, 0, 0],
    ['store', 8, frame(MSGHDR), 0],
    ['store', 8, frame(MSG_IOV), frame(IOV_BASE)],
    ['store', 8, frame(MSG_IOVLEN), 1],
    ['store', 8, frame(MSG_CONTROL), frame(CMSG)],
    ['store', 8, frame(IOV_BASE), frame(COMMAND)],
    ['store', 8, frame(IOV_LEN), COMMAND_SIZE],

    ['label', 'next'],
    ['store', 8, frame(MSGHDR + 8), 0],
    ['store', 8, frame(MSG_CONTROLLEN), CMSG_LEN],
    ['store', 8, frame(MSG_FLAGS), 0],
    ['store', 4, frame(CMSG_TYPE), 0],
    ['call', 'recvmsg', 0, frame(MSGHDR), MSG_CMSG_CLOEXEC],
    ['move', 'size', 'result'],
    // From here on `received` is an open fd that must be kept or closed; closing -EBADF does nothing.
    ['move', 'received', -EBADF],
    ['load', 'flags', 4, frame(CMSG_TYPE)],
    ['if', 'flags', '!=', SCM_RIGHTS, 'came'],
    ['load', 'received', 4, frame(CMSG_FD)],
    ['label', 'came'],
    ['if', 'size', '<=', 0, 'pause'],
    ['if', 'size', '!=', COMMAND_SIZE, 'discard'],
    ['load', 'flags', 4, frame(MSG_FLAGS)],
    ['ifBit', 'flags', MSG_TRUNC_BIT, 'discard'],
    ['load', 'op', 4, frame(COMMAND_OP)],
    ['if', 'op', '==', holderCommands.HOLD, 'hold'],
    ['call', 'close', 'received'],
    ['move', 'answer', 0],
    ['if', 'op', '==', holderCommands.PING, 'reply'],
    ['if', 'op', '==', holderCommands.EXIT, 'reply'],
    ['if', 'op', '==', holderCommands.DROP, 'drop'],
    ['move', 'answer', -ENOSYS],
    ['goto', 'reply'],

    ['label', 'hold'],
    ['move', 'answer', 'received'],
    ['ifBit', 'flags', MSG_CTRUNC_BIT, 'full'],
    ['call', 'prctl', PR_SET_PDEATHSIG, 0, 0, 0, 0],
    ['goto', 'reply'],
    ['label', 'full'],
    ['call', 'close', 'received'],
    ['move', 'answer', -EMFILE],
    ['goto', 'reply'],

    ['label', 'drop'],
    ['move', 'answer', -EINVAL],
    ['load', 'fd', 4, frame(COMMAND_FD)],
    ['if', 'fd', 'below', 2, 'reply'],
    ['call', 'close', 'fd'],
    ['move', 'answer', 'result'],

    ['label', 'reply'],
    ['store', 4, frame(COMMAND_FD), 'answer'],
    ['call', 'sendto', 0, frame(COMMAND), COMMAND_SIZE, MSG_DONTWAIT + MSG_NOSIGNAL, 0, 0],
    ['if', 'op', '!=', holderCommands.EXIT, 'next'],
    ['call', 'exit_group', 0],

    ['label', 'discard'],
    ['call', 'close', 'received'],
    ['goto', 'next'],

    ['label', 'pause'],
    ['call', 'close', 'received'],
    ['call', 'nanosleep', address('duration'), 0],
    ['goto', 'next'],

    ['label', 'duration'],
    ['data', pause],
    ['label', 'name'],
    ['data', Buffer.from('keepmount-hold\0')],
  ],
}
