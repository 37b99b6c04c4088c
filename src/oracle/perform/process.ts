// The process that performs: receives operations on stdin and answers each on stdout, until stdin ends.
//   node process.js FOLDER

import { setNonblocking } from '../../native/files.js'
import type { Actual } from '../answer.js'
import { receive, send } from '../frames.js'
import type { Operation } from '../operations.js'
import { setUmask } from './natives.js'
import { Performer } from './performer.js'

export interface Answer {
  readonly actual: Actual
  /** How long it took, in milliseconds. */
  readonly ms: number
}

/** Performs until stdin ends. `perform` may be another than the performer's own, as in tests of the judge. */
export function serve(change: (perform: Performer['perform']) => Performer['perform'] = (perform) => perform): void {
  const performer = new Performer(process.argv[2] ?? '')
  const perform = change((operation) => performer.perform(operation))
  setUmask(0)
  // Pipes of a Node parent may be sockets that do not wait.
  for (const fd of [0, 1]) setNonblocking(fd, false)
  process.chdir('/')
  for (let operation = receive(0); operation !== undefined; operation = receive(0)) {
    const started = performance.now()
    const actual = perform(operation as Operation)
    send(1, { actual, ms: performance.now() - started } satisfies Answer)
  }
}
