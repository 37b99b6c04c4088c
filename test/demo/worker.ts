// One application of the demo, seen from outside: a process that is asked what it has done.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { within } from '../fixtures/deadline.js'
import type { Place } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'
import type { Account } from './application.js'

const DEADLINE_MS = 10_000

export class Worker {
  /** What it said last. */
  account: Account = { steps: 0, errors: 0, notes: [], longest_ms: 0 }
  private readonly child: ChildProcess
  private readonly ended: Promise<unknown>

  constructor(
    place: Place,
    readonly role: 'writer' | 'reader',
    file: string,
  ) {
    this.child = fork(builtProgram('test/demo/application'), [role, file], {
      env: place.env,
      cwd: '/',
      execArgv: [],
      // A Ctrl-C at the terminal is not for it.
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.ended = once(this.child, 'exit')
    place.undo(() => this.child.kill('SIGKILL'))
  }

  /** Asks what it has done since it was last asked. It answers when its present step is done. */
  ask(): Promise<Account> {
    return this.answerTo('ask')
  }

  /** Has it check its work and end. */
  async finish(): Promise<Account> {
    const last = await this.answerTo('end')
    await within(this.ended, DEADLINE_MS, `the end of the ${this.role}`)
    return last
  }

  private async answerTo(question: 'ask' | 'end'): Promise<Account> {
    const answer = once(this.child, 'message')
    this.child.send(question)
    const gone = this.ended.then(() => Promise.reject(new Error(`the ${this.role} has died`)))
    gone.catch(() => undefined)
    const [account] = await within(Promise.race([answer, gone]), DEADLINE_MS, `a word of the ${this.role}`)
    this.account = account as Account
    return this.account
  }
}
