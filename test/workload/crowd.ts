// All workloads at once on one mount.
import { Child } from '../fixtures/child.js'
import type { Place } from '../fixtures/place.js'
import { builtProgram } from '../fixtures/project.js'
import type { WorkloadResult } from './workload.js'

/** Each row is a process: its name, its program, its further arguments. */
const programs = [
  { name: 'append', program: 'append', args: [] },
  { name: 'metadata', program: 'metadata', args: [] },
  { name: 'lockfile-1', program: 'lockfile', args: [] },
  { name: 'lockfile-2', program: 'lockfile', args: [] },
  { name: 'cwd', program: 'cwd', args: [] },
  { name: 'reader', program: 'reader', args: [] },
  { name: 'fio-rw', program: 'fio', args: ['rw'] },
  { name: 'fio-mmap', program: 'fio', args: ['mmap'] },
  { name: 'uploads-1', program: 'uploads', args: ['uploads-1'] },
  { name: 'uploads-2', program: 'uploads', args: ['uploads-2'] },
] as const

export type CrowdMember = (typeof programs)[number]['name']

/** For daemons that store what is written only once it is closed. */
export const uploaders = ['uploads-1', 'uploads-2'] as const satisfies readonly CrowdMember[]

/** For all others. */
export const crowdTable = programs.filter(({ program }) => program !== 'uploads')

export class Crowd {
  private readonly children: { name: string; child: Child }[]

  /** Starts them. `ready` resolves when each has taken its first step. */
  /** @param beneath where what they make on the mount can be seen as well; without one they look at the mount again */
  constructor(
    place: Place,
    members: readonly CrowdMember[] = crowdTable.map(({ name }) => name),
    beneath: string | null = place.source,
  ) {
    this.children = programs
      .filter(({ name }) => members.includes(name))
      .map(({ name, program, args }) => {
        const argv = [
          process.execPath,
          builtProgram(`test/workload/${program}`),
          place.mount,
          beneath ?? place.mount,
          ...args,
        ]
        const child = new Child(argv, { env: place.env, cwd: '/' })
        place.undo(() => {
          child.process.kill('SIGKILL')
        })
        return { name, child }
      })
  }

  async ready(deadline = 60_000): Promise<void> {
    await Promise.all(this.children.map(({ child }) => child.says(/^ready$/m, deadline)))
  }

  signal(signal: NodeJS.Signals): void {
    for (const { child } of this.children) child.process.kill(signal)
  }

  /** Lets them take their last step and gives what they found. One that does not end in time counts as an error. */
  async finish(deadline = 60_000): Promise<WorkloadResult[]> {
    for (const { child } of this.children) child.process.stdin?.end()
    return Promise.all(
      this.children.map(async ({ name, child }) => {
        try {
          await child.end(deadline)
          // stdout may still hold the last line when the process is gone.
          await child.says(/^\{.*\}$/m, 1000)
          const line = child.stdout.split('\n').find((text) => text.startsWith('{')) ?? ''
          return { ...(JSON.parse(line) as WorkloadResult), name }
        } catch (error) {
          const note = error instanceof Error ? error.message : String(error)
          child.process.kill('SIGKILL')
          return {
            name,
            operations: 0,
            errors: 1,
            wrong: 0,
            longest_ms: deadline,
            notes: [note, child.stderr],
            kinds: { [note]: 1 },
          }
        }
      }),
    )
  }
}
