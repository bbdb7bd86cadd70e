const MINUTE = 60_000
/** Entries that a table holds at most: what a flood of addresses or of invented reports can cost. */
const MAX_ENTRIES = 10_000

/**
 * Lets a number of events a minute through, for each key. A table that is full lets no new key through before the
 * next minute.
 *
 * @param now ms of a clock that does not go back
 */
export function perMinute (limit: number, now: () => number = () => performance.now()): (key: string) => boolean {
  const counts = new Map<string, number>()
  let minute = -1
  return key => {
    const present = Math.floor(now() / MINUTE)
    if (present !== minute) {
      minute = present
      counts.clear()
    }
    const count = counts.get(key)
    if (count === undefined && counts.size >= MAX_ENTRIES) return false
    counts.set(key, (count ?? 0) + 1)
    return (count ?? 0) < limit
  }
}

export interface LikeEvents {
  /** `undefined` for an event that follows a like one, else the number of those that did since the last first. */
  repeats (key: string): number | undefined
  forget (key: string): void
}

/**
 * Tells the first of like events from those that follow within a time.
 *
 * @param window ms; 0 calls each one the first
 */
export function firstOfLike (window: number, now: () => number = () => performance.now()): LikeEvents {
  const seen = new Map<string, { readonly since: number, repeats: number }>()
  return {
    repeats: key => {
      const present = now()
      const last = seen.get(key)
      if (last !== undefined && present - last.since < window) {
        last.repeats++
        return undefined
      }
      seen.delete(key)
      seen.set(key, { since: present, repeats: 0 })
      // The oldest goes first; that one comes again is then logged once too often, and nothing worse.
      if (seen.size > MAX_ENTRIES) seen.delete(seen.keys().next().value as string)
      return last?.repeats ?? 0
    },
    forget: key => { seen.delete(key) },
  }
}
