// Every error that a user can meet, by code: what happened, to whom, what to do, and the exit code.
import { signalNumber } from '../native/signals.js'
import { quote, umountCommand } from './quote.js'

/** What each error is about. */
export interface Facts {
  COMMAND_NOT_FOUND: { command: string }
  COMMAND_NOT_EXECUTABLE: { command: string; reason: string }
  NO_MOUNT: { command: string; seconds: number }
  EXITED_WITHOUT_MOUNT: { command: string; code: number | null; signal: string | null }
  AUTO_UNMOUNT: { argument: string }
  ALREADY_MANAGED: { name: string; mountpoint: string | null; supervisor: number }
  UNSUPERVISED: { name: string; mountpoint: string }
  NAME_TAKEN: { name: string; argv: readonly string[] }
  MOUNTPOINT_MISSING: { mountpoint: string; reason: string }
  MOUNTPOINT_SILENT: { mountpoint: string; seconds: number }
  MOUNTPOINT_BUSY: { mountpoint: string; type: string; dead: boolean }
  NO_FUSE_DEVICE: { reason: string }
  REQUEST_TIMEOUT: { seconds: number; holdTimeoutSec: number }
  NO_RIGHT_TO_GRAFT: { missing: readonly string[] }
  NO_RIGHT_TO_CAPTURE: { pid: number; reason: string }
  STATE_FOLDER_UNUSABLE: { folder: string; reason: string }
  STATE_FILE_BROKEN: { file: string; reason: string }
  NOT_MANAGED: { target: string }
  NOTHING_TO_ADOPT: { target: string; reason: string }
  HOLDER_FAILED: { reason: string }
  EVENTS_UNUSABLE: { file: string; reason: string }
  BAD_OPTION: { option: string; value: string; expected: string }
  USAGE: { command: string; problem: string }
  NO_SEPARATOR: { argv: readonly string[] }
}

export type ErrorCode = keyof Facts

export type Message<F> = {
  /** Of keepmount itself, or after the daemon's. */
  exitCode: number | ((facts: F) => number)
  text: (facts: F) => string
  remedy: (facts: F) => string
}

const died = (code: number | null, signal: string | null): string =>
  signal ? `was ended by ${signal}` : `exited with code ${code ?? 'unknown'}`

// The types of Facts and of the table are joined per code, so the lookup in KeepmountError is untyped only in its union.
export const messages: { readonly [Code in ErrorCode]: Message<Facts[Code]> } = {
  COMMAND_NOT_FOUND: {
    exitCode: 127,
    text: ({ command }) => `${command}: command not found`,
    remedy: () => 'check the spelling and PATH, or give the full path of the daemon',
  },
  COMMAND_NOT_EXECUTABLE: {
    exitCode: 126,
    text: ({ command, reason }) => `${command}: cannot be run: ${reason}`,
    remedy: ({ command }) => `make it executable (chmod +x ${quote(command)}), or name the program that runs it`,
  },
  NO_MOUNT: {
    exitCode: 125,
    text: ({ command, seconds }) => `${command}: no FUSE mount appeared within ${seconds} s`,
    remedy: () =>
      'check the daemon’s own output; raise --timeout-start-sec if it is slow to start; a daemon that mounts in a mount namespace of its own cannot be managed',
  },
  EXITED_WITHOUT_MOUNT: {
    exitCode: ({ code, signal }) => (signal ? 128 + signalNumber(signal) : code || 125),
    text: ({ command, code, signal }) => `${command}: ${died(code, signal)} before it had mounted anything`,
    remedy: () => 'check the daemon’s own output; run the command by itself to see whether it mounts',
  },
  AUTO_UNMOUNT: {
    exitCode: 125,
    text: ({ argument }) =>
      `auto_unmount in ‘${argument}’ unmounts when the daemon dies, which is when keepmount is to keep the mount`,
    remedy: () => 'leave auto_unmount out; keepmount unmounts when it is stopped',
  },
  ALREADY_MANAGED: {
    exitCode: 125,
    text: ({ name, mountpoint, supervisor }) =>
      `${name}${mountpoint ? ` (${mountpoint})` : ''} is already managed by the keepmount process ${supervisor}`,
    remedy: ({ name }) => `see keepmount status ${name}; end it with keepmount stop ${name}`,
  },
  UNSUPERVISED: {
    exitCode: 125,
    text: ({ name, mountpoint }) => `${mountpoint} is the managed mount ${name}, whose keepmount process has died`,
    remedy: ({ name }) => `take it up with keepmount adopt ${name}, or end it with keepmount stop ${name}`,
  },
  NAME_TAKEN: {
    exitCode: 125,
    text: ({ name, argv }) => `the name ${name} belongs to another command: ${argv.map(quote).join(' ')}`,
    remedy: ({ name }) =>
      `choose another --name, take it up with keepmount adopt ${name}, or end it with keepmount stop ${name}`,
  },
  MOUNTPOINT_MISSING: {
    exitCode: 125,
    text: ({ mountpoint, reason }) => `mountpoint ${mountpoint}: ${reason}`,
    remedy: ({ mountpoint }) => `it must be a folder: mkdir -p ${quote(mountpoint)}`,
  },
  MOUNTPOINT_SILENT: {
    exitCode: 125,
    text: ({ mountpoint, seconds }) =>
      `mountpoint ${mountpoint}: the file system there has not answered for ${seconds} s`,
    remedy: () => 'see findmnt for the mount above it; unmount that one (umount -l) or bring its server back',
  },
  MOUNTPOINT_BUSY: {
    exitCode: 125,
    text: ({ mountpoint, type, dead }) =>
      dead ? `${mountpoint} still carries a dead ${type} mount` : `${mountpoint} already carries a ${type} mount`,
    remedy: ({ mountpoint }) => `unmount it first: ${umountCommand(mountpoint)}`,
  },
  NO_FUSE_DEVICE: {
    exitCode: 125,
    text: ({ reason }) => `/dev/fuse cannot be used: ${reason}`,
    remedy: () =>
      'load the module (modprobe fuse); in a container pass the device in (--device /dev/fuse); let this user open it (mode 0666 is usual)',
  },
  REQUEST_TIMEOUT: {
    exitCode: 125,
    text: ({ seconds, holdTimeoutSec }) =>
      `the kernel aborts FUSE mounts whose requests wait longer than ${seconds} s, and a pause may last ${holdTimeoutSec} s`,
    remedy: ({ seconds }) =>
      `set --hold-timeout below ${seconds}, or raise /proc/sys/fs/fuse/default_request_timeout and max_request_timeout`,
  },
  NO_RIGHT_TO_GRAFT: {
    exitCode: 125,
    text: ({ missing }) => `this user cannot revive stock daemons: ${missing.join(' and ')} missing`,
    remedy: () =>
      'run keepmount as root; or choose --revive inherit for a daemon that is made to be handed its channel, or --revive remount for any other',
  },
  NO_RIGHT_TO_CAPTURE: {
    exitCode: 125,
    text: ({ pid, reason }) => `the channel of the daemon (pid ${pid}) cannot be taken: ${reason}`,
    remedy: () =>
      'run keepmount as the daemon’s own user or as root; pidfd_getfd needs the rights of ptrace: check kernel.yama.ptrace_scope, and that the daemon is not setuid or non-dumpable',
  },
  STATE_FOLDER_UNUSABLE: {
    exitCode: 125,
    text: ({ folder, reason }) => `the state folder ${folder} cannot be used: ${reason}`,
    remedy: () => 'it must be a folder of your own with mode 0700; set XDG_RUNTIME_DIR to one, or run as root',
  },
  STATE_FILE_BROKEN: {
    exitCode: 125,
    text: ({ file, reason }) => `the state file ${file} cannot be read: ${reason}`,
    remedy: ({ file }) =>
      `nothing was changed; if no keepmount process uses it, move it away: mv ${quote(file)} ${quote(`${file}.broken`)}`,
  },
  NOT_MANAGED: {
    exitCode: 125,
    text: ({ target }) => `${target}: no managed mount has this name or mountpoint`,
    remedy: () => 'see keepmount status for those there are',
  },
  NOTHING_TO_ADOPT: {
    exitCode: 125,
    text: ({ target, reason }) => `${target} cannot be adopted: ${reason}`,
    remedy: () => 'start it anew with keepmount run',
  },
  HOLDER_FAILED: {
    exitCode: 125,
    text: ({ reason }) => `no holder could be started: ${reason}`,
    remedy: () => 'run keepmount doctor; memfd_create and executing a memfd must be allowed (vm.memfd_noexec)',
  },
  BAD_OPTION: {
    exitCode: 125,
    text: ({ option, value, expected }) => `${option} ${value}: expected ${expected}`,
    remedy: () => 'see keepmount run --help',
  },
  EVENTS_UNUSABLE: {
    exitCode: 125,
    text: ({ file, reason }) => `events cannot be written to ${file}: ${reason}`,
    remedy: () => 'give a file in a folder of your own, a named pipe that is being read, or - for stdout',
  },
  USAGE: {
    exitCode: 125,
    text: ({ problem }) => problem,
    remedy: ({ command }) => `see ${command} --help`,
  },
  NO_SEPARATOR: {
    exitCode: 125,
    text: ({ argv }) => (argv.length === 0 ? 'no command was given' : 'a -- must stand before the command'),
    remedy: ({ argv }) =>
      argv.length === 0
        ? 'put the daemon’s command after --, for example: keepmount run -- sshfs -f host:/data /mnt/data'
        : `keepmount’s own options come before it: keepmount run -- ${argv.map(quote).join(' ')}`,
  },
}
