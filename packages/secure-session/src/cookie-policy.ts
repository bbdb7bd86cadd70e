import { TooLarge } from './errors.js'

/** Browsers ignore a cookie with more bytes of name and value than this (RFC 6265bis 5.6; ASVS 5.0 3.3.5). */
export const LARGEST_COOKIE = 4096

export interface CookiePolicy {
  /** As it is sent: with the prefix, where there is one. */
  readonly name: string
  readonly attributes: {
    readonly path: '/'
    readonly httpOnly: true
    readonly secure: boolean
    readonly sameSite: 'lax' | 'strict'
  }
}

/**
 * The name and attributes of the session cookie: `__Host-` and Secure, or in development neither.
 * No Domain, which the prefix forbids, and no Max-Age: the browser forgets the cookie when it is closed.
 */
export function cookiePolicy (cookieName: string, sameSite: 'lax' | 'strict', development: boolean): CookiePolicy {
  return {
    name: development ? cookieName : `__Host-${cookieName}`,
    attributes: { path: '/', httpOnly: true, secure: !development, sameSite },
  }
}

/** Throws `FST_KEEP_SECURE_SESSION_TOO_LARGE`, with `size` and `limit` in bytes, for a cookie that a browser would ignore. */
export function assertCookieFits (name: string, value: string): void {
  const size = name.length + value.length
  if (size <= LARGEST_COOKIE) return
  const error = new TooLarge(`cookie "${name}" would have ${size} bytes of name and value`, LARGEST_COOKIE)
  throw Object.assign(error, { size, limit: LARGEST_COOKIE })
}

/** `FST_KEEP_SECURE_SESSION_TOO_LARGE`, with `limit` in bytes, for data that was not measured to its end. */
export function dataTooLarge (field: string): Error {
  // The name itself can be what is too long.
  const error = new TooLarge(`the data up to field "${field.slice(0, 80)}" fits into no cookie`, LARGEST_COOKIE)
  return Object.assign(error, { limit: LARGEST_COOKIE })
}
