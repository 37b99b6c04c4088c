// The places of a run, so that one that is interrupted can take them all away.
import { Place } from '../fixtures/place.js'

const open = new Set<Place>()

export function newPlace(): Place {
  const place = new Place()
  open.add(place)
  return place
}

export async function closePlace(place: Place): Promise<void> {
  await place.clean()
  open.delete(place)
}

export async function closeAllPlaces(): Promise<void> {
  for (const place of open) await closePlace(place)
}
