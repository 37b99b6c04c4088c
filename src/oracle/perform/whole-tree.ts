// What is done to a folder with all that is in it.
import fs from 'node:fs'
import { join } from 'node:path'
import { failedWith } from '../../native/error.js'
import type { Entry } from '../answer.js'
import { factsFrom } from './facts.js'
import { getxattr, listxattr } from './natives.js'

/** Every name below the folder, with all that can be told of it. */
export function snapshot(root: string, below = ''): Entry[] {
  const entries: Entry[] = []
  for (const name of fs.readdirSync(join(root, below))) {
    const path = below === '' ? name : `${below}/${name}`
    const whole = join(root, path)
    const facts = factsFrom(fs.lstatSync(whole))
    const entry = { path, facts, xattrs: facts.type === 'symlink' ? {} : xattrsOf(whole) }
    if (facts.type === 'file') entries.push({ ...entry, bytes: fs.readFileSync(whole) })
    else if (facts.type === 'symlink') entries.push({ ...entry, target: fs.readlinkSync(whole) })
    else entries.push(entry)
    if (facts.type === 'folder') entries.push(...snapshot(root, path))
  }
  return entries
}

function xattrsOf(path: string): Record<string, string> {
  try {
    return Object.fromEntries(listxattr(path).map((name) => [name, getxattr(path, name)]))
  } catch (error) {
    if (failedWith(error, 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) return {}
    throw error
  }
}

/** Makes every file below the folder reach the file system, pages of mappings too. */
export function syncAll(root: string): void {
  for (const entry of fs.readdirSync(root, { withFileTypes: true })) {
    const path = join(root, entry.name)
    if (entry.isDirectory()) syncAll(path)
    if (!entry.isFile()) continue
    const fd = fs.openSync(path, 'r')
    fs.fsyncSync(fd)
    fs.closeSync(fd)
  }
}

/** Not rmSync: that swallows an ENOENT, which would be an effect that came twice. */
export function clear(root: string): void {
  for (const entry of fs.readdirSync(root, { withFileTypes: true })) {
    const path = join(root, entry.name)
    if (entry.isDirectory()) clear(path)
    else fs.unlinkSync(path)
  }
  fs.rmdirSync(root)
}
