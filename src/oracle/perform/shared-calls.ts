// Operations in the folder that all processes share: counters behind locks, races that one wins, a log of all.
import fs from 'node:fs'
import { join } from 'node:path'
import type { Race } from '../operations.js'
import { locked } from './natives.js'
import type { Calls } from './performer.js'

export const sharedFolder = 'shared'
/** Digits of a counter, so that it never changes its length. */
const DIGITS = 12

/** One try; it throws for whoever is too late. `arena` holds what can be taken away. */
const tries: { readonly [R in Race]: (path: string, arena: string, process: number) => void } = {
  create: (path) => fs.closeSync(fs.openSync(path, 'wx')),
  mkdir: (path) => fs.mkdirSync(path),
  link: (path, arena) => fs.linkSync(join(arena, 'always'), path),
  symlink: (path) => fs.symlinkSync('always', path),
  rename: (path, _arena, process) => fs.renameSync(`${path}-prize`, `${path}-taken-${process}`),
  unlink: (path) => fs.unlinkSync(`${path}-prize`),
  rmdir: (path) => fs.rmdirSync(`${path}-prize`),
}
/** What must be there before, made by whoever comes first. */
const prizes: Partial<Record<Race, (path: string) => void>> = {
  rename: (path) => fs.writeFileSync(path, '', { flag: 'wx' }),
  unlink: (path) => fs.writeFileSync(path, '', { flag: 'wx' }),
  rmdir: (path) => fs.mkdirSync(path),
}
const lost = {
  create: 'EEXIST',
  mkdir: 'EEXIST',
  link: 'EEXIST',
  symlink: 'EEXIST',
  rename: 'ENOENT',
  unlink: 'ENOENT',
  rmdir: 'ENOENT',
} as const satisfies Record<Race, string>

export const sharedCalls = (root: () => string): Calls<'count' | 'race' | 'log' | 'totals'> => ({
  count: ({ counter }) => {
    const fd = fs.openSync(join(root(), sharedFolder, counter), fs.constants.O_RDWR | fs.constants.O_CREAT, 0o644)
    try {
      return locked(fd, counter, () => {
        const next = readCounter(fd) + 1
        fs.writeSync(fd, String(next).padStart(DIGITS, '0'), 0)
        return next
      })
    } finally {
      fs.closeSync(fd)
    }
  },
  /** `won` or `lost`. */
  race: ({ race, number, process }) => {
    const arena = join(root(), sharedFolder)
    const path = join(arena, `${race}-${number}`)
    // Whoever makes the mark also makes the prize, and does not take part: the prize is there once for all.
    const prize = prizes[race]
    if (prize && attempt(() => fs.mkdirSync(`${path}-mark`), 'EEXIST')) {
      prize(`${path}-prize`)
      return 'gave'
    }
    return attempt(() => tries[race](path, arena, process), lost[race]) ? 'won' : 'lost'
  },
  log: ({ line }) => {
    const fd = fs.openSync(join(root(), sharedFolder, 'log'), 'a', 0o644)
    try {
      return fs.writeSync(fd, `${line}\n`)
    } finally {
      fs.closeSync(fd)
    }
  },
  totals: ({ folder }) => {
    const read = (name: string): string => {
      let text = ''
      attempt(() => {
        text = fs.readFileSync(join(root(), folder, sharedFolder, name), 'utf8')
      }, 'ENOENT')
      return text
    }
    return { counters: { flock: Number(read('flock')), fcntl: Number(read('fcntl')) }, log: read('log') }
  },
})

function attempt(action: () => void, expected: string): boolean {
  try {
    action()
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === expected) return false
    throw error
  }
}

function readCounter(fd: number): number {
  const bytes = Buffer.alloc(DIGITS)
  return Number(bytes.toString('latin1', 0, fs.readSync(fd, bytes, 0, DIGITS, 0)))
}
