// A victim of exchanges: its channel is fd 3, at first a socket, and what it reads there it says.
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import type { Test } from 'tap'
import { closeFd } from '../../src/native/descriptor.js'
import { sendMessage, socketpair } from '../../src/native/socket.js'
import type { Fd, Pid, RemoteFd } from '../../src/native/types.js'
import { Child } from '../fixtures/child.js'
import { compiledVictim } from '../fixtures/compiled.js'
import { placeFor } from '../fixtures/place.js'

export const CHANNEL = 3 as RemoteFd

/** A socket pair that is closed at the end of the test. */
export function pairFor(t: Test): [ours: Fd, theirs: Fd] {
  const pair = socketpair('seqpacket')
  t.teardown(() => pair.forEach(closeFd))
  return pair
}

export class Victim {
  private count = 0
  private end: Fd

  private constructor(
    private readonly child: Child,
    end: Fd,
    /** Our copy of its first channel. */
    readonly channel: Fd,
  ) {
    this.end = end
  }

  /**
   * @param kinds of threads, see busy.c
   * @param options dups: further descriptors of its channel; uid: of the victim
   */
  static async start(
    t: Test,
    kinds: readonly string[],
    { dups = [], uid }: { dups?: readonly number[]; uid?: number } = {},
  ): Promise<Victim> {
    const [end, theirs] = pairFor(t)
    const place = placeFor(t)
    chmodSync(place.folder, 0o755)
    const stdio: ('pipe' | 'ignore' | Fd)[] = ['pipe', 'pipe', 'pipe', theirs]
    for (const fd of dups) stdio.push(...new Array<'ignore'>(fd - stdio.length).fill('ignore'), theirs)
    const child = new Child([compiledVictim(place, 'busy'), ...kinds], { stdio, ...(uid !== undefined && { uid }) })
    place.undo(() => child.kill())
    await child.says(/^ready$/m)
    return new Victim(child, end, theirs)
  }

  get pid(): Pid {
    return this.child.pid as Pid
  }

  get process() {
    return this.child.process
  }

  get running(): boolean {
    return this.child.running
  }

  ended(): ReturnType<Child['end']> {
    return this.child.end()
  }

  /** From now on it is written to by this end. */
  reachedBy(end: Fd): void {
    this.end = end
  }

  /** It still reads its channel, and nothing broke in any of its threads. */
  async stillWorks(t: Test): Promise<void> {
    const word = `word-${this.count++}`
    sendMessage(this.end, Buffer.from(`${word}\n`))
    await this.child.says(new RegExp(`^${word}$`, 'm'))
    const before = this.child.stdout.length
    this.child.process.stdin?.write('?')
    await this.child.says(new RegExp(`^${word}\n(.|\n)*;|^${word}\n(.|\n)*^fine$`, 'm'))
    t.equal(this.child.stdout.slice(before), 'fine\n', 'the victim still works')
  }

  /** Its blocked and pending signals, and how it is traced. */
  status(): string[] {
    return (
      readFileSync(`/proc/${this.pid}/status`, 'utf8').match(
        /^(State|TracerPid|SigBlk|SigPnd|ShdPnd|SigIgn|SigCgt):.*$/gm,
      ) ?? []
    )
  }

  /** How its threads are scheduled: fields 41 and 19 of proc_pid_stat(5). */
  scheduling(): string[] {
    const found = new Set<string>()
    for (const tid of readdirSync(`/proc/${this.pid}/task`)) {
      const fields = statOf(`/proc/${this.pid}/task/${tid}/stat`)
      if (fields) found.add(`policy ${fields[41 - 3]}, nice ${fields[19 - 3]}`)
    }
    return [...found]
  }
}

function statOf(path: string): string[] | null {
  try {
    const text = readFileSync(path, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}
