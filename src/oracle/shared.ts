// What only all processes together can tell: a counter behind a lock never gives a number twice, a race has one winner,
// the log has every line once.
import type { Actual, Totals } from './answer.js'
import type { Misfit } from './judge.js'
import type { Operation, Race } from './operations.js'

/** Races that somebody wins for sure if anybody tried: what is made is there afterwards. */
const madeByOne: readonly Race[] = ['create', 'mkdir', 'link', 'symlink']

export class SharedJudge {
  private readonly counted = new Map<string, Set<number>>()
  private readonly winners = new Map<string, number>()
  private readonly losers = new Set<string>()
  private readonly lines = new Set<string>()
  /** An operation that failed may have been done or not: what it was about is not judged any further. */
  private readonly unsure = new Set<string>()

  /** Takes the outcome of one process; says if it cannot be. */
  take(operation: Operation, actual: Actual | undefined): Misfit | undefined {
    const about = subject(operation)
    if (about === undefined) return undefined
    if (!actual || 'errno' in actual) {
      this.unsure.add(about)
      return undefined
    }
    const { value } = actual
    if (operation.kind === 'log') {
      this.lines.add(operation.line)
      return undefined
    }
    if (operation.kind === 'count') return this.takeNumber(about, Number(value))
    if (value === 'lost') this.losers.add(about)
    if (value !== 'won') return undefined
    const winners = (this.winners.get(about) ?? 0) + 1
    this.winners.set(about, winners)
    return winners > 1 && !this.unsure.has(about)
      ? { sort: 'doubled', expected: `one winner of ${about}`, actual: `${winners} winners` }
      : undefined
  }

  /** What is wrong in the end. */
  finish({ counters, log }: Totals): Misfit[] {
    const problems: Misfit[] = []
    for (const [counter, numbers] of this.counted) {
      const total = counters[counter] ?? 0
      if (total === numbers.size || this.unsure.has(counter)) continue
      const sort = total < numbers.size ? 'lost' : 'doubled'
      problems.push({ sort, expected: `${counter} counts ${numbers.size}`, actual: String(total) })
    }
    for (const race of this.losers) {
      const [kind] = race.split('-') as [Race]
      if (!madeByOne.includes(kind) || this.winners.has(race) || this.unsure.has(race)) continue
      problems.push({
        sort: 'doubled',
        expected: `a winner of ${race}`,
        actual: 'all were told that they were too late',
      })
    }
    return [...problems, ...this.judgeLog(log)]
  }

  private judgeLog(log: string): Misfit[] {
    const problems: Misfit[] = []
    const seen = new Map<string, number>()
    const lines = log.split('\n')
    if (lines.pop() !== '') problems.push({ sort: 'bytes', expected: 'a log of whole lines', actual: 'a cut line' })
    for (const line of lines) seen.set(line, (seen.get(line) ?? 0) + 1)
    for (const line of this.lines) {
      const times = seen.get(line) ?? 0
      if (times !== 1)
        problems.push({ sort: times === 0 ? 'lost' : 'doubled', expected: `once: ${line}`, actual: `${times} times` })
    }
    for (const line of seen.keys())
      if (!this.lines.has(line) && !this.unsure.has(line))
        problems.push({ sort: 'bytes', expected: 'no such line', actual: line })
    return problems
  }

  private takeNumber(counter: string, number: number): Misfit | undefined {
    const numbers = this.counted.get(counter) ?? new Set()
    this.counted.set(counter, numbers)
    if (numbers.has(number))
      return { sort: 'lost', expected: `${counter} gives each number once`, actual: `${number} again` }
    numbers.add(number)
    return undefined
  }
}

function subject(operation: Operation): string | undefined {
  if (operation.kind === 'count') return operation.counter
  if (operation.kind === 'race') return `${operation.race}-${operation.number}`
  return operation.kind === 'log' ? operation.line : undefined
}
