// The mount as a state machine: what may happen in each state, and what is done about it. `null` is an event that
// means nothing any more in this state; `impossible` is one that must not happen, and says so if it does.
//
//   starting ─mounted─▶ proving ─answered─▶ serving ─daemon_exited─▶ orphaned ─restart_due─▶ proving (inherit)
//                                              │                                          └▶ starting (remount)
//                                              ├─unmounted─▶ leaving ─daemon_exited─▶ ended
//                                              └─stop_asked─▶ stopping ─daemon_exited─▶ ended

export const states = [
  'starting',
  'respawning',
  'proving',
  'serving',
  'healing',
  'orphaned',
  'leaving',
  'stopping',
  'ended',
] as const
export type State = (typeof states)[number]

export const machineEvents = [
  'mounted', // the daemon's mount and its channel are there
  'decoy_ready', // a grafted life has its own mount and its FUSE_INIT
  'daemon_exited', // no process of the life serves the channel any more
  'answered', // the daemon answered a request through the mount
  'refused', // the daemon cannot go on with the channel it was given
  'relay_ended', // the relay of a grafted life has ended by itself
  'channel_closed', // the kernel has closed the channel that the relay of a grafted life reads
  'healed', // no id of an earlier life is in use any more
  'restart_due', // the delay before the next life is over
  'start_timeout', // the life has not come up in time
  'hold_timeout', // the pause has lasted as long as it may
  'unmounted', // the mount is gone, or its connection was aborted
  'channel_lost', // neither a holder nor the daemon has the channel
  'stop_asked', // we are to end
  'stop_timeout', // the daemon was asked to end and has not
] as const
export type MachineEvent = (typeof machineEvents)[number]

/** What is done on an event; the next state is the action's to say where it depends on what it finds. */
export type Action =
  | 'prove' // ask the mount for an answer
  | 'graft' // put the relay between the kernel and the life
  | 'rejoin' // give the channel itself to a grafted life
  | 'retire' // the kernel has closed a grafted life's channel: let the life see it
  | 'end_life' // a grafted life without its relay serves nobody: end it
  | 'settle_in' // the life serves: end the pause
  | 'orphan' // a life died: decide whether and when the next one starts
  | 'respawn' // settle the requests in flight and start the next life
  | 'fail_start' // the first life did not come up: clean up and end
  | 'give_up' // no further life: end the pause for good
  | 'leave' // the mount is gone: let the daemon end by itself
  | 'stop' // forward the signal, then unmount and end
  | 'kill' // the daemon did not end when asked
  | 'end' // nothing is left to do: tidy up

export type Cell = Action | null | 'impossible'

export const transitions = {
  starting: {
    mounted: 'prove',
    decoy_ready: 'impossible',
    relay_ended: null,
    channel_closed: null,
    healed: null,
    daemon_exited: 'fail_start',
    answered: null,
    refused: 'impossible',
    restart_due: 'impossible',
    start_timeout: 'fail_start',
    hold_timeout: 'give_up',
    unmounted: null,
    channel_lost: 'impossible',
    stop_asked: 'stop',
    stop_timeout: 'impossible',
  },
  respawning: {
    mounted: 'impossible',
    decoy_ready: 'graft',
    relay_ended: null,
    channel_closed: null,
    healed: null,
    daemon_exited: 'orphan',
    answered: null,
    refused: 'give_up',
    restart_due: 'impossible',
    start_timeout: 'give_up',
    hold_timeout: 'give_up',
    unmounted: 'leave',
    channel_lost: 'give_up',
    stop_asked: 'stop',
    stop_timeout: 'impossible',
  },
  proving: {
    mounted: 'impossible',
    decoy_ready: 'impossible',
    relay_ended: 'end_life',
    channel_closed: 'leave',
    healed: null,
    daemon_exited: 'orphan',
    answered: 'settle_in',
    refused: 'give_up',
    restart_due: 'impossible',
    start_timeout: 'give_up',
    hold_timeout: 'give_up',
    unmounted: 'leave',
    channel_lost: 'give_up',
    stop_asked: 'stop',
    stop_timeout: 'impossible',
  },
  serving: {
    mounted: 'impossible',
    decoy_ready: 'impossible',
    relay_ended: null,
    channel_closed: null,
    healed: null,
    daemon_exited: 'orphan',
    answered: null,
    refused: 'impossible',
    restart_due: 'impossible',
    start_timeout: 'impossible',
    hold_timeout: 'impossible',
    unmounted: 'leave',
    channel_lost: 'give_up',
    stop_asked: 'stop',
    stop_timeout: 'impossible',
  },
  healing: {
    mounted: 'impossible',
    decoy_ready: 'impossible',
    relay_ended: 'end_life',
    channel_closed: 'leave',
    healed: 'rejoin',
    daemon_exited: 'orphan',
    answered: null,
    refused: 'impossible',
    restart_due: 'impossible',
    start_timeout: 'impossible',
    hold_timeout: 'impossible',
    unmounted: 'leave',
    channel_lost: 'give_up',
    stop_asked: 'stop',
    stop_timeout: 'impossible',
  },
  orphaned: {
    mounted: 'impossible',
    decoy_ready: null,
    relay_ended: null,
    channel_closed: null,
    healed: null,
    daemon_exited: 'impossible',
    answered: null,
    refused: null,
    restart_due: 'respawn',
    start_timeout: 'impossible',
    hold_timeout: 'give_up',
    unmounted: 'end',
    channel_lost: 'give_up',
    stop_asked: 'end',
    stop_timeout: 'impossible',
  },
  leaving: {
    mounted: 'impossible',
    decoy_ready: null,
    relay_ended: 'retire',
    channel_closed: 'retire',
    healed: null,
    daemon_exited: 'end',
    answered: null,
    refused: null,
    restart_due: 'impossible',
    start_timeout: null,
    hold_timeout: null,
    unmounted: null,
    channel_lost: null,
    stop_asked: 'stop',
    stop_timeout: 'kill',
  },
  stopping: {
    mounted: null,
    decoy_ready: null,
    relay_ended: null,
    channel_closed: 'retire',
    healed: null,
    daemon_exited: 'end',
    answered: null,
    refused: null,
    restart_due: null,
    start_timeout: null,
    hold_timeout: null,
    unmounted: null,
    channel_lost: null,
    stop_asked: 'stop',
    stop_timeout: 'kill',
  },
  ended: {
    mounted: null,
    decoy_ready: null,
    relay_ended: null,
    channel_closed: null,
    healed: null,
    daemon_exited: null,
    answered: null,
    refused: null,
    restart_due: null,
    start_timeout: null,
    hold_timeout: null,
    unmounted: null,
    channel_lost: null,
    stop_asked: null,
    stop_timeout: null,
  },
} as const satisfies Record<State, Record<MachineEvent, Cell>>
