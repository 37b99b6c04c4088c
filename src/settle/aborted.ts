// Whether a channel's connection still lives. Source: fs/fuse/dev.c, fuse_dev_poll: EPOLLERR once it does not.
import { pollEvents, pollOnce } from '../native/poll.js'
import type { Fd } from '../native/types.js'

/** True if the connection was aborted or its file system is gone for good. */
export const isAborted = (channel: Fd): boolean => (pollOnce(channel, 0) & pollEvents.POLLERR) !== 0
