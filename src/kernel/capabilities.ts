// What this process is allowed to. Source: proc_pid_status(5), capabilities(7), include/uapi/linux/capability.h.
import { readFileSync } from 'node:fs'

export const capabilityBits = {
  CAP_DAC_READ_SEARCH: 2,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
} as const
export type Capability = keyof typeof capabilityBits

const effective = (): bigint =>
  BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`)

export const hasCapability = (name: Capability): boolean => ((effective() >> BigInt(capabilityBits[name])) & 1n) === 1n

/** Those of the table that we have. */
export const capabilities = (): Capability[] => (Object.keys(capabilityBits) as Capability[]).filter(hasCapability)
