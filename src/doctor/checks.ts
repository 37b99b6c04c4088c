// What doctor tries, a row each, in the order of how much depends on it. Everything is found by doing it, never from a
// version; every probe takes back what it did.
import { accessSync, constants, fstatSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { leaveCgroup } from '../hold/cgroup.js'
import { place } from '../hold/placement.js'
import { capabilities, hasCapability } from '../kernel/capabilities.js'
import { connectionNumbers } from '../kernel/connection.js'
import { readMounts } from '../kernel/mountinfo.js'
import { childrenOf } from '../kernel/process.js'
import { closeFd } from '../native/descriptor.js'
import { errnoName, errnoText, failedWith } from '../native/error.js'
import { rawSyscall } from '../native/ffi.js'
import { reconfigure } from '../native/mount.js'
import { pidfdGetfd, pidfdOpen } from '../native/pidfd.js'
import { askForExit, becomeSubreaper, sameOpenFile } from '../native/process.js'
import type { Pid, RemoteFd } from '../native/types.js'
import { checkFuseDevice } from '../preflight/fuse-device.js'
import { requestTimeout } from '../preflight/request-timeout.js'
import { startProber } from '../revive/prober.js'
import { checkStateRoot, stateRoot } from '../state/folder.js'
import { defaultOptions } from '../supervise/options.js'
import { type Check, type Finding, no, unknown, yes } from './check.js'
import { type NotificationName, probeNotify } from './notify-probe.js'
import { withSubject } from './subject.js'
import { TrialConnection } from './trial-connection.js'

export const checks: readonly Check[] = [
  {
    id: 'fuse-device',
    question: 'Can /dev/fuse be opened?',
    needed: 'run',
    ifOk: 'daemons can serve mounts',
    ifNot: 'no FUSE daemon works here: load the module (modprobe fuse), or pass the device into the container',
    probe: () => {
      checkFuseDevice()
      return yes('character device 10:229')
    },
  },
  {
    id: 'mount',
    question: 'May FUSE be mounted?',
    needed: 'run',
    ifOk: 'daemons can mount',
    ifNot: 'daemons cannot mount: run as root, or install fusermount3 with its setuid bit (package fuse3)',
    probe: () => {
      const helper = setuidHelper()
      const trial = withTrial(({ protocol }) => yes(`by ourselves; the kernel speaks FUSE ${protocol}`))
      return trial.ok === null && helper !== null
        ? yes(`through ${helper}`)
        : trial.ok === null
          ? no(trial.detail)
          : trial
    },
  },
  {
    id: 'pidfd-getfd',
    question: 'Can an open file be copied from a child?',
    needed: 'run',
    ifOk: 'the channel of a daemon can be captured, and fetched from a holder',
    ifNot:
      'no channel can be captured: a kernel of 5.6 or later is needed, and a seccomp filter that allows pidfd_getfd',
    probe: () =>
      withSubject(({ pid }) => {
        const pidfd = pidfdOpen(pid)
        try {
          const copy = pidfdGetfd(pidfd, 1 as RemoteFd)
          const isSame = fstatSync(copy).rdev === statSync('/dev/null').rdev
          closeFd(copy)
          return isSame ? yes('pidfd_open and pidfd_getfd work') : no('another file than the one asked for came')
        } finally {
          closeFd(pidfd)
        }
      }),
  },
  {
    id: 'memfd-exec',
    question: 'Can a program be run from memory?',
    needed: 'run',
    ifOk: 'holders can be started',
    ifNot: 'holders cannot be started: set vm.memfd_noexec to 0 or 1, and allow memfd_create',
    probe: async () => {
      const answer = await startProber('/').answer
      return answer === 0 ? yes('the prober ran from a memfd') : no(`the prober ended with ${answer ?? 'a signal'}`)
    },
  },
  {
    id: 'state-folder',
    question: 'Can state be kept?',
    needed: 'run',
    ifOk: 'a mount can be taken up after the death of its keepmount process',
    ifNot: 'nothing can be managed: give a folder of your own with mode 0700 as XDG_RUNTIME_DIR',
    probe: () => {
      const root = stateRoot()
      checkStateRoot(root)
      return yes(root)
    },
  },
  {
    id: 'fusectl',
    question: 'Can FUSE connections be seen?',
    needed: 'inherit',
    ifOk: 'waiting requests are counted, and mounts can be aborted',
    ifNot: 'a pause that lasts too long ends only with the last holder: mount -t fusectl none /sys/fs/fuse/connections',
    probe: () => {
      const seen = withTrial(() => yes(`${connectionNumbers().length - 1} besides the one made for the trial`))
      if (seen.ok !== null) return seen
      return readMounts().some(({ type }) => type === 'fusectl')
        ? yes('/sys/fs/fuse/connections is mounted')
        : no('it is not mounted')
    },
  },
  {
    id: 'children',
    question: 'Are the children of a process listed?',
    needed: 'run',
    ifOk: 'daemons that fork are found',
    ifNot: 'daemons that fork are not found: the kernel lacks CONFIG_PROC_CHILDREN, or /proc is restricted',
    probe: () =>
      withSubject(({ pid }) =>
        childrenOf('self').includes(pid) ? yes('/proc/PID/task/TID/children') : no('the child is not listed'),
      ),
  },
  {
    id: 'subreaper',
    question: 'Can orphans of a daemon become our children?',
    needed: 'run',
    ifOk: 'daemons that fork twice stay in reach',
    ifNot: 'daemons that fork into the background are lost; run them in the foreground (-f)',
    probe: () => {
      becomeSubreaper()
      return yes('PR_SET_CHILD_SUBREAPER')
    },
  },
  {
    id: 'resend',
    question: 'Does the kernel send unanswered requests again (RESEND)?',
    needed: 'inherit',
    ifOk: 'requests that a dead daemon had read are carried out by its next life',
    ifNot: 'requests that a dead daemon had read end with EINTR (kernel before 6.9)',
    probe: () => probeNotification('FUSE_NOTIFY_RESEND'),
  },
  {
    id: 'request-timeout',
    question: 'May requests wait through a pause?',
    needed: 'inherit',
    ifOk: 'the kernel aborts no mount during a pause',
    ifNot:
      'the kernel would abort mounts during a pause: give run a shorter --hold-timeout, or raise /proc/sys/fs/fuse/*_request_timeout',
    probe: () => {
      const seconds = requestTimeout()
      if (seconds === 0) return yes('no limit')
      const limit = `limit ${seconds} s, and a pause may last ${defaultOptions.holdTimeoutSec} s by default`
      return seconds > defaultOptions.holdTimeoutSec ? yes(limit) : no(limit)
    },
  },
  {
    id: 'inc-epoch',
    question: 'Can cached names be put in doubt (INC_EPOCH)?',
    needed: 'nice',
    ifOk: 'a later life can have every cached name asked for again',
    ifNot: 'names stay cached until they expire (kernel before 6.16)',
    probe: () => probeNotification('FUSE_NOTIFY_INC_EPOCH'),
  },
  {
    id: 'purge',
    question: 'Can cached names be dropped?',
    needed: 'graft',
    ifOk: 'what an earlier life gave out can be taken out of the kernel’s cache, so that the mount heals',
    ifNot: 'it stays in the kernel’s cache until memory is short, and the mount behind its relay',
    probe: () =>
      withTrial(({ mount }) => {
        reconfigure(mount)
        return yes('fspick and fsconfig work')
      }),
  },
  {
    id: 'clone',
    question: 'Can a channel be cloned?',
    needed: 'nice',
    ifOk: 'daemons that read with several files (clone_fd) work',
    ifNot: 'daemons must read with one file',
    probe: () => withTrial((trial) => outcome(trial.clone(), 'FUSE_DEV_IOC_CLONE')),
  },
  {
    id: 'fdinfo',
    question: 'Does the kernel name the connection of a channel?',
    needed: 'nice',
    ifOk: 'the channel of a daemon that has several is found at once',
    ifNot: 'name the --mountpoint where several mounts start at once (kernel before 6.18)',
    probe: () =>
      withTrial(({ connection }) =>
        connection === null ? no('fdinfo has no fuse_connection') : yes('fuse_connection in fdinfo'),
      ),
  },
  {
    id: 'ptrace',
    question: 'May a daemon be traced?',
    needed: 'graft',
    ifOk: 'a stock daemon can be put on the mount of an earlier life, and one that is no child of ours be taken up',
    ifNot: 'stock daemons cannot be revived, and one that is no child of ours cannot be taken up',
    probe: () => withSubject(({ pid }) => ptraceFinding(pid)),
  },
  {
    id: 'kcmp',
    question: 'Can open files of two processes be compared?',
    needed: 'nice',
    ifOk: 'copies of a channel are recognised',
    ifNot: 'copies of a channel are recognised less surely (CONFIG_KCMP)',
    probe: () =>
      withSubject(({ pid }) =>
        sameOpenFile(pid, 1, pid, 2 as RemoteFd) ? no('different files seem equal') : yes('kcmp works'),
      ),
  },
  {
    id: 'pidfd-info',
    question: 'Does a pidfd tell how its process ended?',
    needed: 'nice',
    ifOk: 'the exit code of a daemon that is no child of ours is known',
    ifNot: 'after a take-over the exit code of the daemon stays unknown (kernel before 6.15)',
    probe: pidfdInfo,
  },
  {
    id: 'file-handles',
    question: 'May files be opened by handle?',
    needed: 'graft',
    ifOk: 'the kernel can be asked which file a nodeid of an earlier life is',
    ifNot: 'nodeids of an earlier life mean nothing to a new one: CAP_DAC_READ_SEARCH is missing',
    probe: () => (hasCapability('CAP_DAC_READ_SEARCH') ? yes('CAP_DAC_READ_SEARCH') : no('no CAP_DAC_READ_SEARCH')),
  },
  {
    id: 'oom',
    question: 'Can holders be kept from the OOM killer?',
    needed: 'nice',
    ifOk: 'a holder is not chosen when memory runs out',
    ifNot: 'a holder can be chosen when memory runs out; its size makes that unlikely',
    probe: () =>
      withPlaced(({ oomScoreAdj }) =>
        (oomScoreAdj === -1000 ? yes : no)(`oom_score_adj ${oomScoreAdj ?? 'cannot be read'}`),
      ),
  },
  {
    id: 'cgroup',
    question: 'Can holders have a cgroup of their own?',
    needed: 'nice',
    ifOk: 'a holder survives when a service manager ends our cgroup',
    ifNot: 'who ends our cgroup ends the holders too (set KillMode=process in a unit)',
    probe: () =>
      withPlaced(({ cgroup }) =>
        cgroup === null ? no('none could be made') : yes(cgroup.replace(/\/keepmount\/.*/, '/keepmount')),
      ),
  },
  {
    id: 'rights',
    question: 'Which rights does this user have?',
    needed: 'nice',
    ifOk: 'nothing is refused for want of rights',
    ifNot: 'mounts are unmounted through fusermount, and only daemons of this user can be managed',
    probe: () => {
      const detail = `uid ${process.geteuid?.()}, ${capabilities().join(' ') || 'no capability of use'}`
      return hasCapability('CAP_SYS_ADMIN') && hasCapability('CAP_SYS_PTRACE') ? yes(detail) : no(detail)
    },
  },
]

function withTrial(work: (trial: TrialConnection) => Finding): Finding {
  let trial: TrialConnection
  try {
    trial = TrialConnection.open()
  } catch (error) {
    if (failedWith(error, 'EPERM', 'ENOSYS')) return unknown('trying it needs CAP_SYS_ADMIN')
    throw error
  }
  try {
    return work(trial)
  } finally {
    trial.close()
  }
}

function probeNotification(name: NotificationName): Finding {
  try {
    return probeNotify(name) ? yes(`${name} is taken`) : no(`${name} is refused`)
  } catch (error) {
    if (failedWith(error, 'EPERM', 'ENOSYS'))
      return unknown('trying it needs CAP_SYS_ADMIN; run finds out at the first crash')
    throw error
  }
}

const withPlaced = (judge: (placement: ReturnType<typeof place>) => Finding): Promise<Finding> => {
  let placed: Parameters<typeof place>[0] | undefined
  return withSubject((subject) => {
    placed = subject
    return judge(place(subject))
  }).finally(() => placed && leaveCgroup(placed))
}

const outcome = (errno: number, what: string): Finding =>
  errno === 0 ? yes(`${what} works`) : no(`${what}: ${errnoText(errno)} (${errnoName(errno)})`)

const PTRACE_SEIZE = 0x4206

/** The child is not stopped by it, and killed afterwards: nobody has to detach. */
function ptraceFinding(pid: Pid): Finding {
  const result = rawSyscall('ptrace', PTRACE_SEIZE, pid, 0, 0)
  const scope = yamaScope()
  const yama = scope === null ? 'no Yama' : `Yama’s ptrace_scope is ${scope}`
  if (result < 0) return no(`PTRACE_SEIZE: ${errnoName(-result)}; ${yama}`)
  if (scope !== null && scope > 0 && !hasCapability('CAP_SYS_PTRACE')) return no(`only children; ${yama}`)
  return yes(`PTRACE_SEIZE works; ${yama}`)
}

function yamaScope(): number | null {
  try {
    return Number(readFileSync('/proc/sys/kernel/yama/ptrace_scope', 'utf8'))
  } catch {
    return null
  }
}

async function pidfdInfo(): Promise<Finding> {
  const pidfd = await withSubject(({ pid }) => pidfdOpen(pid))
  try {
    return outcome(askForExit(pidfd), 'PIDFD_GET_INFO')
  } finally {
    closeFd(pidfd)
  }
}

/** Where fusermount is with its setuid bit. */
function setuidHelper(): string | null {
  for (const name of ['fusermount3', 'fusermount']) {
    for (const folder of (process.env.PATH ?? '/usr/bin:/bin').split(':')) {
      const path = join(folder || '.', name)
      try {
        accessSync(path, constants.X_OK)
        if (statSync(path).mode & 0o4000) return path
      } catch {
        // Not in this one.
      }
    }
  }
  return null
}
