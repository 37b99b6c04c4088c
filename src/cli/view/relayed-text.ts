// Why a daemon is behind the relay, in words, with those who hold on to files of earlier lives.
import type { Healing, RelayedReason } from '../../supervise/relayed.js'

const reasons = {
  pinned: 'files of earlier lives are in use',
  'in-use': 'what is open just now was opened through the relay',
  held: 'requests of an earlier life are held back',
  unseen: 'somebody uses the mount whom /proc does not show',
  asked: '--after-heal relay',
} as const satisfies Record<RelayedReason, string>

const MOST = 5

export function relayedText({ reason, pins }: Pick<Healing, 'reason' | 'pins'>): string {
  const shown = pins.slice(0, MOST).map(holder)
  const more = pins.length > MOST ? `, and ${pins.length - MOST} more` : ''
  return shown.length === 0 ? reasons[reason] : `${reasons[reason]}; held by ${shown.join(', ')}${more}`
}

const holder = ({ pid, command, path }: Healing['pins'][number]): string =>
  [pid === null ? 'the kernel' : `${command} (${pid})`, path].filter((part) => part !== '').join(' ')
