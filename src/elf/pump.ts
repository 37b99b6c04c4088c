// The pump: the relay's innermost loop, as a function in its own thread. Called from JavaScript, a system call costs three
// times what it takes, and a message needs six of them; here they are made in one go, and looking a hundred times whether
// there is a message costs less than sleeping once. Whoever waits for the same processor, maybe the daemon with the very
// message, goes first. It knows nothing of what it moves.
//
//   its argument is the address of a block of words, 8 bytes each: see `block`
//   returns which of `outcomes` it is; `length` is then what the system call returned
import { at, type Program } from './program.js'

const WORD = 8
/** Where the words of the block lie. */
export const block = {
  /** What is to be written first: -1, or the fd of the socket or the channel, which is then -1. */
  out: 0,
  outAddress: 1 * WORD,
  outLength: 2 * WORD,
  /** 1: it is a socket's. */
  outIsSocket: 3 * WORD,
  /** What is read from, or -1 for not now; where to, and how much at most. */
  socket: 4 * WORD,
  replyAddress: 5 * WORD,
  replySize: 6 * WORD,
  channel: 7 * WORD,
  requestAddress: 8 * WORD,
  requestSize: 9 * WORD,
  /** How often it looks before it sleeps, and how many times were left when it found something; 0 if it had slept. */
  rounds: 10 * WORD,
  /** Of `polledCount` entries of struct pollfd for the sleep; what comes after the first two is not read here. */
  polled: 11 * WORD,
  length: 12 * WORD,
} as const
export const BLOCK_SIZE = 13 * WORD
export const POLLED_COUNT = 4

export const outcomes = {
  /** Something else is there, and `length` is positive; or a signal came. */
  woken: 0,
  request: 1,
  reply: 2,
  /** What was to be written was not. */
  refused: 3,
} as const

const POLLFD = 8
/** `revents` is in the upper half of the second word of a struct pollfd. */
const REVENTS = 0x1_0000
const EAGAIN = 11
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000

const others = Array.from({ length: POLLED_COUNT - 2 }, (_, i) => POLLFD * (i + 2) + 4)

export const pump: Program = {
  name: 'keepmount-pump',
  variables: ['block', 'rounds', 'fd', 'buffer', 'size', 'length'],
  frameSize: 0,
  isFunction: true,
  rows: [
    ['load', 'rounds', 8, at('block', block.rounds)],
    ['load', 'fd', 8, at('block', block.out)],
    ['if', 'fd', '<', 0, 'look'],
    ['load', 'buffer', 8, at('block', block.outAddress)],
    ['load', 'size', 8, at('block', block.outLength)],
    ['load', 'length', 8, at('block', block.outIsSocket)],
    ['if', 'length', '!=', 0, 'send'],
    ['call', 'write', 'fd', 'buffer', 'size'],
    ['move', 'length', 'result'],
    ['goto', 'written'],
    ['label', 'send'],
    ['call', 'sendto', 'fd', 'buffer', 'size', MSG_DONTWAIT + MSG_NOSIGNAL, 0, 0],
    ['move', 'length', 'result'],
    ['label', 'written'],
    ['store', 8, at('block', block.out), -1],
    ['if', 'length', '<', 0, 'refused'],

    ['label', 'look'],
    ['load', 'fd', 8, at('block', block.socket)],
    ['if', 'fd', '<', 0, 'channel'],
    ['load', 'buffer', 8, at('block', block.replyAddress)],
    ['load', 'size', 8, at('block', block.replySize)],
    ['call', 'read', 'fd', 'buffer', 'size'],
    ['move', 'length', 'result'],
    ['if', 'length', '!=', -EAGAIN, 'reply'],
    ['label', 'channel'],
    ['load', 'fd', 8, at('block', block.channel)],
    ['if', 'fd', '<', 0, 'again'],
    ['load', 'buffer', 8, at('block', block.requestAddress)],
    ['load', 'size', 8, at('block', block.requestSize)],
    ['call', 'read', 'fd', 'buffer', 'size'],
    ['move', 'length', 'result'],
    ['if', 'length', '!=', -EAGAIN, 'request'],
    ['label', 'again'],
    ['add', 'rounds', -1],
    ['if', 'rounds', '<=', 0, 'sleep'],
    ['call', 'sched_yield'],
    ['goto', 'look'],

    ['label', 'sleep'],
    ['move', 'rounds', 0],
    ['load', 'buffer', 8, at('block', block.polled)],
    ['call', 'ppoll', 'buffer', POLLED_COUNT, 0, 0, 0],
    ['move', 'length', 'result'],
    ['if', 'length', '<=', 0, 'woken'],
    ['move', 'size', REVENTS],
    ...others.flatMap(
      (offset) =>
        [
          ['load', 'fd', 4, at('buffer', offset)],
          ['if', 'size', 'below', 'fd', 'woken'],
        ] as const,
    ),
    ['goto', 'look'],

    ['label', 'request'],
    ['store', 8, at('block', block.length), 'length'],
    ['store', 8, at('block', block.rounds), 'rounds'],
    ['return', outcomes.request],
    ['label', 'reply'],
    ['store', 8, at('block', block.length), 'length'],
    ['store', 8, at('block', block.rounds), 'rounds'],
    ['return', outcomes.reply],
    ['label', 'refused'],
    ['store', 8, at('block', block.length), 'length'],
    ['return', outcomes.refused],
    ['label', 'woken'],
    ['store', 8, at('block', block.length), 'length'],
    ['store', 8, at('block', block.rounds), 'rounds'],
    ['return', outcomes.woken],
  ],
}
