// What each event says to a person: a row each. Times are milliseconds.
import { umountCommand } from '../../errors/quote.js'
import type { EventFacts, EventName, GiveUpReason, MountEvent } from '../../supervise/events.js'
import type { Colour } from '../output/paint.js'
import { duration } from './duration.js'
import { relayedText } from './relayed-text.js'

type EventOf<Name extends EventName> = Extract<MountEvent, { event: Name }>

interface Row<Name extends EventName> {
  readonly symbol: string
  readonly colour: Colour
  /** What happened, in a word. */
  readonly title: string
  readonly text: (event: EventOf<Name>) => string
}

const rows: { readonly [Name in EventName]: Row<Name> } = {
  mounted: {
    symbol: '●',
    colour: 'green',
    title: 'mounted',
    text: (e) =>
      `${e.mountpoint} by daemon ${e.daemon_pid} after ${duration(e.start_ms)}; managed as ${e.name} (device ${e.device})`,
  },
  held: {
    symbol: '⚓',
    colour: 'blue',
    title: 'held',
    text: (e) => `${count(e.channels, 'channel')} in ${count(e.holders.length, 'holder')} (${pids(e.holders)})`,
  },
  crashed: {
    symbol: '✖',
    colour: 'red',
    title: 'crashed',
    text: (e) =>
      `life ${e.life}${e.daemon_pid ? `, daemon ${e.daemon_pid}` : ''}: ${ending(e)}; ${nextLife(e.restart_in_ms)}`,
  },
  revived: {
    symbol: '↻',
    colour: 'green',
    title: 'revived',
    text: (e) =>
      `life ${e.life}, daemon ${e.daemon_pid}, after a pause of ${duration(e.downtime_ms)}; ${inFlight(e.in_flight)}`,
  },
  healed: {
    symbol: '●',
    colour: 'green',
    title: 'healed',
    text: (e) => `daemon ${e.daemon_pid} is back on the channel itself, ${duration(e.heal_ms)} after it was grafted`,
  },
  relayed: {
    symbol: '↻',
    colour: 'yellow',
    title: 'relayed',
    text: (e) => `daemon ${e.daemon_pid} stays behind the relay: ${relayedText(e)}`,
  },
  noted: {
    symbol: '!',
    colour: 'yellow',
    title: 'noted',
    text: ({ what, facts }) =>
      `${what}${Object.entries(facts)
        .map(([name, value]) => `, ${name} ${value}`)
        .join('')}`,
  },
  holder_replaced: {
    symbol: '⚓',
    colour: 'yellow',
    title: 'holder',
    text: (e) => `${e.dead_pid} died, ${e.holder_pid} holds the channel now`,
  },
  adopted: {
    symbol: '●',
    colour: 'cyan',
    title: 'adopted',
    text: (e) =>
      `${e.mountpoint ?? e.name} from the dead keepmount process ${e.previous_supervisor}; ${
        e.daemon_pid === null ? 'its daemon is dead too' : `daemon ${e.daemon_pid} serves`
      }; ${count(e.holders.length, 'holder')} (${pids(e.holders)})`,
  },
  gave_up: {
    symbol: '■',
    colour: 'red',
    title: 'gave up',
    text: (e) =>
      `${giveUps[e.reason].text}${e.detail ? `: ${e.detail}` : ''}\n→ ${giveUps[e.reason].remedy}\n${fate(e)}`,
  },
  unmounted: {
    symbol: '○',
    colour: 'cyan',
    title: 'unmounted',
    text: (e) =>
      e.reason === 'aborted'
        ? `${e.mountpoint}: its connection was aborted by somebody`
        : `${e.mountpoint}, from outside keepmount`,
  },
  stopped: {
    symbol: '○',
    colour: 'dim',
    title: 'stopped',
    text: (e) =>
      e.code === null && e.signal === null ? `exit code ${e.exit}` : `the daemon ${ending(e)}; exit code ${e.exit}`,
  },
}

/** Why a mount is given up, and what to do about it. */
export const giveUps: { readonly [Reason in GiveUpReason]: { readonly text: string; readonly remedy: string } } = {
  'restart-policy': {
    text: 'the restart policy wants no further life',
    remedy: 'choose --restart always, or on-failure, if it should have come back',
  },
  'start-limit': {
    text: 'the daemon died too often',
    remedy:
      'find out why it dies; --start-limit-burst and --start-limit-interval-sec allow more, --restart-sec slows it down',
  },
  'hold-timeout': {
    text: 'the pause lasted as long as it may',
    remedy: 'raise --hold-timeout if the daemon needs longer to come back',
  },
  'start-timeout': {
    text: 'the next life did not come up in time',
    remedy: 'raise --timeout-start-sec if the daemon is slow to start, and see its own output',
  },
  'stock-daemon': {
    text: 'the daemon cannot go on with a mount that an earlier life served',
    remedy:
      'use --revive graft for it, or --revive remount; ‘inherit’ is for daemons that are made to be revived, such as keepmount mirror',
  },
  'not-graftable': {
    text: 'the daemon cannot be revived on the mount of an earlier life',
    remedy: 'use --revive remount for it, or --revive inherit if it is made to be handed a channel',
  },
  'channel-lost': {
    text: 'the mount’s channel is lost: all holders and the daemon died at once',
    remedy: 'run it again; more --holders make this rarer, and keepmount doctor says how well they are protected',
  },
  'cannot-run': {
    text: 'the daemon could not be started again',
    remedy: 'see whether the command can still be run by hand',
  },
}

export interface EventText {
  readonly symbol: string
  readonly colour: Colour
  readonly title: string
  /** May have several lines. */
  readonly text: string
}

export function eventText(event: MountEvent): EventText {
  const { symbol, colour, title, text } = rows[event.event] as Row<EventName>
  return { symbol, colour, title, text: text(event) }
}

export const eventTitles: readonly string[] = Object.values(rows).map(({ title }) => title)

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`
const pids = (list: readonly number[]): string => list.join(', ')

const ending = ({ code, signal }: Pick<EventFacts['crashed'], 'code' | 'signal'>): string =>
  signal !== null ? `was ended by ${signal}` : code !== null ? `exited with code ${code}` : 'ended'

/** What becomes of the mount. */
const fate = ({ action, mountpoint }: EventOf<'gave_up'>): string =>
  action === 'abort' && mountpoint !== null
    ? `the mount stays and answers ENOTCONN until it is unmounted: ${umountCommand(mountpoint)}`
    : 'the mount is unmounted'

function nextLife(restartInMs: number | null): string {
  if (restartInMs === null) return 'it will not be started again'
  return restartInMs === 0 ? 'starting it again' : `starting it again in ${duration(restartInMs)}`
}

function inFlight(policy: string): string {
  if (policy === 'resend') return 'unanswered requests were sent again'
  if (policy === 'hold') return 'unanswered requests still wait'
  if (policy === 'none') return 'mounted anew, and what was open is lost'
  const errno = /^fail:(\w+)$/.exec(policy)?.[1]
  return errno === undefined ? policy : `unanswered requests ended with ${errno}`
}
