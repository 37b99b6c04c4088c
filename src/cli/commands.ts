// The commands, a row each, loaded when they are asked for: `keepmount mirror` is a daemon whose start every application
// waits for, so it must not read the code of the others.

export interface CommandRow {
  readonly usage: string
  readonly summary: string
  /** Runs the command and returns the exit code. */
  readonly load: () => Promise<(argv: readonly string[]) => Promise<number>>
}

export const commands = {
  run: {
    usage: 'run [options] -- COMMAND [ARGS…]',
    summary: 'start a FUSE daemon and keep its mount alive',
    load: async () => (await import('./run.js')).run,
  },
  status: {
    usage: 'status [--json] [NAME|DIR]',
    summary: 'show the managed mounts',
    load: async () => (await import('./status.js')).status,
  },
  adopt: {
    usage: 'adopt [options] NAME|DIR',
    summary: 'take up the mount of a keepmount process that died',
    load: async () => (await import('./adopt.js')).adopt,
  },
  stop: {
    usage: 'stop NAME|DIR',
    summary: 'unmount, and end the daemon and its holders',
    load: async () => (await import('./stop.js')).stop,
  },
  mirror: {
    usage: 'mirror [-o OPTION[,…]] SOURCE MOUNTPOINT',
    summary: 'mount a folder at a second place (a daemon that can be revived)',
    load: async () => (await import('./mirror.js')).mirror,
  },
  doctor: {
    usage: 'doctor [--json]',
    summary: 'try what this machine and this user can do',
    load: async () => (await import('./doctor.js')).doctor,
  },
  errors: {
    usage: 'errors [--json] [CODE]',
    summary: 'explain every error',
    load: async () => (await import('./errors.js')).errors,
  },
} as const satisfies Record<string, CommandRow>

export type CommandName = keyof typeof commands
export const isCommand = (name: string): name is CommandName => Object.hasOwn(commands, name)
