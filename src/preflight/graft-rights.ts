// What reviving a stock daemon takes: a mount namespace for its next life, and asking the kernel which file a nodeid is.
// Source: unshare(2), open_by_handle_at(2); both look for the capability in the first user namespace.
import { KeepmountError } from '../errors/error.js'
import { type Capability, hasCapability } from '../kernel/capabilities.js'
import type { MountOptions } from '../supervise/options.js'

const needed = ['CAP_SYS_ADMIN', 'CAP_DAC_READ_SEARCH'] as const satisfies Capability[]

/** @throws KeepmountError NO_RIGHT_TO_GRAFT */
export function checkGraftRights({ revive }: Pick<MountOptions, 'revive'>): void {
  if (revive !== 'graft') return
  const missing = needed.filter((name) => !hasCapability(name))
  if (missing.length > 0) throw new KeepmountError('NO_RIGHT_TO_GRAFT', { missing })
}
