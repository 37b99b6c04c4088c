// The managed mounts as a table for people: a column for each thing, cut where the terminal ends.
import type { Healing } from '../../supervise/relayed.js'
import type { Colour, Paint } from '../output/paint.js'
import { duration } from '../view/duration.js'
import { relayedText } from '../view/relayed-text.js'
import type { MountStatus } from './mount-status.js'

interface Column {
  readonly title: string
  readonly right?: boolean
  readonly cell: (mount: MountStatus) => string
  readonly colour?: (mount: MountStatus) => Colour | null
}

const stateColours: { readonly [state in MountStatus['state']]: Colour } = {
  starting: 'yellow',
  respawning: 'yellow',
  proving: 'yellow',
  serving: 'green',
  healing: 'cyan',
  orphaned: 'red',
  leaving: 'dim',
  stopping: 'dim',
  ended: 'dim',
  unsupervised: 'yellow',
}

const columns: readonly Column[] = [
  { title: 'NAME', cell: ({ name }) => name, colour: () => 'bold' },
  { title: 'STATE', cell: ({ state }) => state, colour: ({ state }) => stateColours[state] },
  { title: 'MOUNTPOINT', cell: ({ mountpoint }) => mountpoint ?? '–' },
  { title: 'LIFE', right: true, cell: ({ life }) => String(life) },
  {
    title: 'CRASHES',
    right: true,
    cell: ({ crashes }) => String(crashes),
    colour: ({ crashes }) => (crashes ? 'red' : null),
  },
  { title: 'LAST CRASH', cell: ({ last_crash }) => (last_crash === null ? '–' : crashText(last_crash)) },
  { title: 'WAITING', right: true, cell: ({ waiting }) => (waiting === null ? '–' : String(waiting)) },
  {
    title: 'DAEMON',
    right: true,
    cell: ({ daemon }) => (daemon === null ? 'dead' : String(daemon.pid)),
    colour: ({ daemon }) => (daemon ? null : 'red'),
  },
  {
    title: 'HOLDERS',
    cell: ({ holders, revive }) => holders.map(({ pid }) => pid).join(' ') || (revive === 'remount' ? '–' : 'none'),
    colour: ({ holders, revive }) => (holders.length || revive === 'remount' ? null : 'red'),
  },
  {
    title: 'SUPERVISOR',
    right: true,
    cell: ({ supervisor }) => (supervisor === null ? 'dead' : String(supervisor.pid)),
    colour: ({ supervisor }) => (supervisor ? null : 'yellow'),
  },
]

/** @param width of the terminal; lines are as long as they are without one */
export function statusTable(mounts: readonly MountStatus[], style: Paint, width?: number): string {
  if (mounts.length === 0) return 'no managed mounts\n'
  const widths = columns.map(({ title, cell }) => Math.max(title.length, ...mounts.map((mount) => cell(mount).length)))
  const row = (texts: readonly string[], colours: readonly (Colour | null)[]): string => {
    let room = width ?? Number.POSITIVE_INFINITY
    const parts: string[] = []
    for (const [i, text] of texts.entries()) {
      const last = i === texts.length - 1
      const size = widths[i] ?? 0
      const padded = columns[i]?.right ? text.padStart(size) : last ? text : text.padEnd(size)
      const shown = cut(padded, room)
      const colour = colours[i]
      parts.push(colour ? style[colour](shown) : shown)
      room -= size + GAP.length
      if (room <= 0) break
    }
    return `${parts.join(GAP)}\n`
  }
  const head = row(
    columns.map(({ title }) => title),
    columns.map(() => 'dim' as const),
  )
  const body = mounts.map((mount) =>
    row(
      columns.map(({ cell }) => cell(mount)),
      columns.map(({ colour }) => colour?.(mount) ?? null),
    ),
  )
  return head + body.join('') + advice(mounts)
}

const GAP = '  '

const cut = (text: string, room: number): string =>
  text.length <= room ? text : `${text.slice(0, Math.max(0, room - 1))}…`

function crashText({ time, signal, code, downtime_ms }: NonNullable<MountStatus['last_crash']>): string {
  const ago = duration(Math.max(0, Date.now() - Date.parse(time)))
  const pause = downtime_ms === null ? 'still down' : `paused ${duration(downtime_ms)}`
  return `${ago} ago, ${signal ?? `code ${code ?? '?'}`}, ${pause}`
}

function advice(mounts: readonly MountStatus[]): string {
  return mounts
    .flatMap(({ name, state, healing }) => {
      if (state === 'unsupervised') return [`→ the keepmount process of ${name} has died: keepmount adopt ${name}\n`]
      return healing ? [`→ ${name} is behind the relay (${counts(healing)}): ${relayedText(healing)}\n`] : []
    })
    .join('')
}

const counts = ({ stale_nodes, stale_handles }: Healing): string =>
  `${count(stale_nodes, 'nodeid')} and ${count(stale_handles, 'handle')} not the daemon’s own`
const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`
