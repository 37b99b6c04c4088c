// What stat(2) says, as the model knows it.
import type { Stats } from 'node:fs'
import type { Facts } from '../answer.js'

export function factsFrom(stats: Stats): Facts {
  const mode = stats.mode & 0o7777
  const mtime = stats.mtimeMs / 1000
  if (stats.isFile()) return { type: 'file', size: stats.size, mode, links: stats.nlink, mtime }
  if (stats.isDirectory()) return { type: 'folder', mode, mtime }
  return stats.isSymbolicLink() ? { type: 'symlink', size: stats.size } : { type: 'other', mode }
}
