// Files with several names. The kernel may have one of them cached with the nodeid of an earlier life, and looks another one
// up: then it would have two inodes of one file, and go on to show by the first how many links and bytes the file had before
// something was done to it by the second. Which nodeid that is, nobody can tell. So it is made to forget what it has merely
// cached before it is told a nodeid that it does not know yet of such a file; what is in use is known here. A name that is just
// given to a file (LINK) comes with the nodeid by which the kernel knows that.
import { layout } from '../../fuse/layout.js'
import type { ResolverLine } from '../companions/resolver-line.js'
import { givenNodes } from '../translate/listings.js'
import type { Shape } from '../translate/shapes.js'
import type { Translator } from '../translate/translator.js'

const { nodeid, attr } = layout('fuse_entry_out')
const MODE = attr.mode.offset - nodeid.offset
const LINKS = attr.nlink.offset - nodeid.offset
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
/** What is written back at that opportunity may take its time. */
const LONGEST_MS = 100

export class OtherNames {
  private purger: { readonly line: ResolverLine; readonly mountpoint: Buffer } | null = null
  /** Answers that wait for the present purge, and since when; what comes meanwhile is for the next. */
  private current: Buffer[] = []
  private next: Buffer[] = []
  private since = 0
  private isAsking = false

  constructor(private readonly translator: Translator) {}

  /** From now on there is somebody to purge. @throws Ended */
  helpedBy(line: ResolverLine, mountpoint: Buffer): void {
    this.purger = { line, mountpoint }
    if (this.isBusy && !this.isAsking) this.ask()
  }

  /** True while answers wait. */
  get isBusy(): boolean {
    return this.current.length > 0
  }

  /** Milliseconds until they have waited for too long; negative if none waits. */
  get patience(): number {
    return this.isBusy ? Math.max(0, this.since + LONGEST_MS - performance.now()) : -1
  }

  /** Keeps the answer of `length` bytes in `wire.reply` if it tells the kernel a new nodeid of a file with several names. */
  keep(shape: Shape, length: number): boolean {
    // Who purges may have to wait himself.
    if ((this.isAsking && !this.isBusy) || shape.name === 'LINK' || !this.isAbout(shape, length)) return false
    const answer = Buffer.from(this.translator.wire.reply.bytes.subarray(0, length))
    if (this.isBusy) this.next.push(answer)
    else this.begin([answer])
    return true
  }

  /** Lets go of what has waited for too long. @throws Ended */
  proceed(): void {
    if (this.isBusy && this.patience === 0) this.release()
  }

  private begin(answers: Buffer[]): void {
    this.current = answers
    this.since = performance.now()
    if (this.purger) this.ask()
    else this.translator.surroundings.callHelpers()
  }

  private ask(): void {
    const { purger, current } = this
    if (!purger) return
    this.isAsking = true
    purger.line.purge(purger.mountpoint, () => {
      this.isAsking = false
      if (this.current === current) this.release()
    })
  }

  private release(): void {
    const [answers, next] = [this.current, this.next]
    this.current = []
    this.next = []
    for (const answer of answers) {
      this.translator.wire.putReply(answer)
      this.translator.answers.take(answer.length, 'names')
    }
    if (next.length === 0) return
    this.begin(next)
  }

  private isAbout(shape: Shape, length: number): boolean {
    const { nodes, wire } = this.translator
    const { view } = wire.reply
    return givenNodes(shape, wire.reply, length).some((at) => {
      const isFolder = (view.getUint32(at + MODE, true) & S_IFMT) === S_IFDIR
      if (isFolder || view.getUint32(at + LINKS, true) < 2) return false
      const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
      return (low !== 0 || high !== 0) && nodes.ofDaemon(low, high) < 0
    })
  }
}
