// The mount itself and what the kernel holds of it: INIT, DESTROY, LOOKUP, FORGET, BATCH_FORGET.
import { FUSE_KERNEL_MINOR_VERSION, FUSE_KERNEL_VERSION } from '../fuse/flags.js'
import { layout } from '../fuse/layout.js'
import type { Request } from '../fuse/request.js'
import { lookUp } from './attributes.js'
import { isHidden, nameAt } from './creating.js'
import { ENOENT } from './errno.js'
import { BODY, type Mirror, NO_REPLY, type Outcome } from './mirror.js'
import { MAX_PAGES, MAX_WRITE, wantedWords } from './negotiated.js'
import type { Node } from './nodes.js'

const initIn = layout('fuse_init_in')
const initOut = layout('fuse_init_out')
const forgetIn = layout('fuse_forget_in')
const forgetOne = layout('fuse_forget_one')
const batchForgetIn = layout('fuse_batch_forget_in')

/** Comes once per mount: to life 1, or to a later one if life 1 died before it had answered. */
export function init(mirror: Mirror, { view, body }: Request): Outcome {
  mirror.folder.empty()
  mirror.intent.clear()
  const { view: reply, bytes } = mirror.reply
  bytes.fill(0, BODY, BODY + initOut.$size)
  initOut.major.set(reply, BODY, FUSE_KERNEL_VERSION)
  initOut.minor.set(reply, BODY, FUSE_KERNEL_MINOR_VERSION)
  initOut.max_readahead.set(reply, BODY, MAX_WRITE)
  initOut.flags.set(reply, BODY, wantedWords.flags & initIn.flags.get(view, body))
  initOut.flags2.set(reply, BODY, wantedWords.flags2 & initIn.flags2.get(view, body))
  initOut.max_write.set(reply, BODY, MAX_WRITE)
  initOut.max_pages.set(reply, BODY, MAX_PAGES)
  initOut.time_gran.set(reply, BODY, 1)
  return initOut.$size
}

export const destroy = (): Outcome => 0

export function lookup(mirror: Mirror, request: Request): Outcome {
  if (isHidden(mirror, request.nodeLow, request.nodeHigh, request.name1)) return -ENOENT
  const folder = mirror.nodeFd(request)
  return folder < 0 ? folder : lookUp(mirror, folder, nameAt(mirror, request.name1), BODY)
}

export function forget(mirror: Mirror, request: Request): Outcome {
  letGo(mirror, mirror.node(request), forgetIn.nlookup.number(request.view, request.body))
  return NO_REPLY
}

export function batchForget(mirror: Mirror, { view, body, tail }: Request): Outcome {
  const count = batchForgetIn.count.get(view, body)
  for (let i = 0, at = tail; i < count; i++, at += forgetOne.$size)
    letGo(
      mirror,
      mirror.nodes.at(forgetOne.nodeid.low(view, at), forgetOne.nodeid.high(view, at)),
      forgetOne.nlookup.number(view, at),
    )
  return NO_REPLY
}

function letGo(mirror: Mirror, node: Node, count: number): void {
  if (mirror.nodes.forget(node, count) && node.pinned) mirror.folder.unpin(node)
}
