// Genuine cookies of any age, made and read with the package's own parts.
import { createKeyRing } from '../../packages/secure-session/src/sealed/key-ring.js'
import { SealedCookies, type OpenedCookie, type SealedContent } from '../../packages/secure-session/src/sealed/sealed-cookies.js'
import { currentSecond } from '../../packages/secure-session/src/lifetimes.js'
import { key } from './https-app.ts'

export const lifetimes = { idleTimeout: 1800, absoluteTimeout: 43200, renewAfter: 900 }

export function cookiesOf (keys: readonly string[] = [key], purpose: 'session' | 'session-id' = 'session'): SealedCookies {
  const ring = createKeyRing(keys.map(text => Buffer.from(text, 'base64')) as [Buffer])
  return new SealedCookies({ ring, cookieName: '__Host-session', application: '', purpose, cacheBytes: 0, longestValue: 4082, ...lifetimes })
}

/** A genuine cookie's value, sealed `idle` seconds ago in a session that began `age` seconds ago. */
export function agedCookie (age: number, idle: number, content: Partial<SealedContent> & { subject?: string, id?: string } = {}): string {
  const now = currentSecond()
  const { id = 'id', subject, data = '{"user":"ada"}' } = content
  const record = { id, createdAt: now - age, renewedAt: now - idle, subject, authenticatedAt: subject === undefined ? undefined : now - age }
  return cookiesOf().seal({ record, sealedAt: record.renewedAt * 1000, data }, record.renewedAt)
}

export function opened (value: string, keys?: readonly string[]): OpenedCookie {
  const cookie = cookiesOf(keys).open(value, currentSecond())
  if ('refused' in cookie) throw new Error(cookie.refused)
  return cookie
}
