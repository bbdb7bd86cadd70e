import { randomBytes } from 'node:crypto'
import type { SessionTimes } from './lifetimes.js'

/** What is known of a session besides its data. */
export interface SessionRecord extends SessionTimes {
  /** 256 random bits in base64url. */
  readonly id: string
  /** Who has logged in. */
  readonly subject?: string | undefined
  /** When they did, in seconds since 1970, to the millisecond. */
  readonly authenticatedAt?: number | undefined
}

export function newRecord (now: number): SessionRecord {
  return { id: newId(), createdAt: now, renewedAt: now }
}

export function newId (): string {
  return randomBytes(32).toString('base64url')
}
