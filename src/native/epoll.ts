// Epoll sets as fdinfo shows them, and struct epoll_event. Source: epoll_ctl(2), proc_pid_fdinfo(5).
import { type Arch, arch } from './arch.js'

export const epollOperations = { EPOLL_CTL_ADD: 1, EPOLL_CTL_DEL: 2 } as const

/** x86-64 alone packs the struct. */
const layouts = {
  x64: { size: 12, data: 4 },
  arm64: { size: 16, data: 8 },
} as const satisfies Record<Arch, object>

/** A struct epoll_event. */
export function epollEvent(events: number, data: bigint, of: Arch = arch): Buffer {
  const layout = layouts[of]
  const bytes = Buffer.alloc(layout.size)
  bytes.writeUInt32LE(events, 0)
  bytes.writeBigUInt64LE(data, layout.data)
  return bytes
}

export interface EpollEntry {
  /** The number that the descriptor had when it was added. */
  readonly fd: number
  readonly events: number
  readonly data: bigint
}

/** The entries of an epoll set, from its fdinfo: `tfd: 5 events: 19 data: 5 pos:0 ino:… sdev:…`, the last five in hex. */
export function epollEntries(fdinfo: string): EpollEntry[] {
  const rows = fdinfo.matchAll(/^tfd:\s*(\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)/gm)
  return [...rows].map(([, fd, events, data]) => ({
    fd: Number(fd),
    events: Number.parseInt(events ?? '0', 16),
    data: BigInt(`0x${data}`),
  }))
}
