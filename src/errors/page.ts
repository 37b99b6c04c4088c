// The page that lists every error: its code, exit code, what it looks like and what to do. Made from the same table as
// the errors themselves, with an example of each.
import { KeepmountError } from './error.js'
import { type ErrorCode, type Facts, messages } from './messages.js'

export const errorCodes = Object.keys(messages) as ErrorCode[]

/** One entry of the page. */
export interface ErrorEntry {
  readonly code: ErrorCode
  /** Null where it is the daemon's own. */
  readonly exit_code: number | null
  readonly example: string
  readonly remedy: string
}

export function errorEntry(code: ErrorCode): ErrorEntry {
  const { message, remedy } = new KeepmountError(code, examples[code])
  const { exitCode } = messages[code]
  return { code, exit_code: typeof exitCode === 'number' ? exitCode : null, example: message, remedy }
}

const argv = ['sshfs', '-f', 'host:/data', '/mnt/data']

export const examples: { readonly [Code in ErrorCode]: Facts[Code] } = {
  COMMAND_NOT_FOUND: { command: 'sshf' },
  COMMAND_NOT_EXECUTABLE: { command: './mydaemon', reason: 'permission denied' },
  NO_MOUNT: { command: 'sshfs', seconds: 90 },
  EXITED_WITHOUT_MOUNT: { command: 'sshfs', code: 1, signal: null },
  AUTO_UNMOUNT: { argument: 'allow_other,auto_unmount' },
  ALREADY_MANAGED: { name: 'data', mountpoint: '/mnt/data', supervisor: 812 },
  UNSUPERVISED: { name: 'data', mountpoint: '/mnt/data' },
  NAME_TAKEN: { name: 'data', argv },
  MOUNTPOINT_MISSING: { mountpoint: '/mnt/data', reason: 'no such file or directory' },
  MOUNTPOINT_SILENT: { mountpoint: '/mnt/data/inner', seconds: 5 },
  MOUNTPOINT_BUSY: { mountpoint: '/mnt/data', type: 'fuse.sshfs', dead: true },
  NO_FUSE_DEVICE: { reason: 'no such file or directory' },
  REQUEST_TIMEOUT: { seconds: 30, holdTimeoutSec: 60 },
  NO_RIGHT_TO_GRAFT: { missing: ['CAP_SYS_ADMIN', 'CAP_DAC_READ_SEARCH'] },
  NO_RIGHT_TO_CAPTURE: { pid: 815, reason: 'operation not permitted' },
  STATE_FOLDER_UNUSABLE: { folder: '/run/keepmount', reason: 'permission denied' },
  STATE_FILE_BROKEN: { file: '/run/keepmount/data/state.json', reason: 'it is not JSON' },
  NOT_MANAGED: { target: 'data' },
  NOTHING_TO_ADOPT: { target: 'data', reason: 'its mount is gone' },
  HOLDER_FAILED: { reason: 'memfd_create holder: permission denied (EACCES)' },
  EVENTS_UNUSABLE: { file: '/var/log/data.events', reason: 'permission denied' },
  BAD_OPTION: { option: '--restart-sec', value: 'soon', expected: 'a time such as 5, 500ms or "2min 20s"' },
  USAGE: { command: 'keepmount run', problem: 'unknown option ‘--reviv’' },
  NO_SEPARATOR: { argv },
}
