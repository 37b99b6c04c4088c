import { writeSync } from 'node:fs'

const marks: string[] = []
export function mark(name: string): void {
  marks.push(`${name} ${process.hrtime.bigint()}`)
}
export function flushMarks(): void {
  if (process.env.KM_MARKS) writeSync(2, `${marks.map((m) => `MARK ${m}`).join('\n')}\n`)
  marks.length = 0
}
