// A mount to measure on, with keepmount around its daemon or without.
import { Child } from '../fixtures/child.js'
import { Managed, unlimited } from '../fixtures/managed.js'
import type { Place } from '../fixtures/place.js'
import { mirrorCommand } from '../fixtures/project.js'
import { closePlace, newPlace } from './places.js'

export const daemons = {
  mirrorfs: ({ source, mount }: Place) => mirrorCommand(source, mount),
  bindfs: ({ source, mount }: Place) => ['bindfs', '-f', source, mount],
} as const satisfies Record<string, (place: Place) => string[]>

export type Daemon = keyof typeof daemons
/** argv of a daemon at a place. */
export type Command = (place: Place) => readonly string[]

/** A place with a mount that serves. */
export async function kept(command: Command, options: readonly string[] = []): Promise<{ place: Place; it: Managed }> {
  const place = newPlace()
  try {
    const daemon = command(place)
    return { place, it: await Managed.serving(place, { daemon, options: [...unlimited, '--quiet', ...options] }) }
  } catch (error) {
    await closePlace(place)
    throw error
  }
}

/** The same, the daemon by itself. */
export async function bare(command: Command): Promise<{ place: Place; it: Child }> {
  const place = newPlace()
  try {
    const it = new Child(command(place), { env: place.env, cwd: '/', stdio: 'ignore' })
    place.undo(() => it.kill())
    await place.mounted()
    return { place, it }
  } catch (error) {
    await closePlace(place)
    throw error
  }
}
