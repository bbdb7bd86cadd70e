import { configurationError, CookieContradicts, TooLarge } from './errors.js'

/** Browsers ignore a cookie with more bytes of name and value than this (RFC 6265bis 5.6; ASVS 5.0 3.3.5). */
export const LARGEST_COOKIE = 4096

/** What browsers hold a cookie to because of its name (RFC 6265bis 4.1.3; the last two: layered-cookies draft). */
const PREFIXES = {
  '__Host-': { hostOnly: true, description: 'Path=/ and no Domain' },
  '__Secure-': { hostOnly: false, description: 'Secure' },
  '__Host-Http-': { hostOnly: true, description: 'Path=/ and no Domain' },
  '__Http-': { hostOnly: false, description: 'Secure' },
  none: { hostOnly: false, description: '' },
} as const

export type CookiePrefix = keyof typeof PREFIXES

export const COOKIE_PREFIXES = Object.keys(PREFIXES)

export interface CookieChoices {
  readonly cookieName: string
  readonly prefix: CookiePrefix
  readonly sameSite: 'lax' | 'strict' | 'none'
  readonly partitioned: boolean
  readonly domain: string | undefined
  readonly path: string
  readonly isPersistent: boolean
  readonly development: boolean
}

export interface CookiePolicy {
  /** As it is sent: with the prefix, where there is one. */
  readonly name: string
  readonly isPersistent: boolean
  readonly attributes: {
    readonly path: string
    readonly httpOnly: true
    readonly secure: boolean
    readonly sameSite: 'lax' | 'strict' | 'none'
    readonly partitioned: boolean
    readonly domain?: string
  }
}

/**
 * The name and attributes of the session cookie: `__Host-` and Secure, or in development neither.
 * Throws `FST_KEEP_SECURE_SESSION_COOKIE_CONTRADICTS` for a combination that browsers ignore (RFC 6265bis 5.6).
 */
export function cookiePolicy (choices: CookieChoices): CookiePolicy {
  const { cookieName, prefix, sameSite, partitioned, domain, path, isPersistent, development } = choices
  const { hostOnly, description } = PREFIXES[prefix]
  if (hostOnly && domain !== undefined) throw contradiction(`"domain" is given with the prefix ${prefix}, which asks for ${description}`, 'To share the session among hosts, set "prefix" to \'__Secure-\' as well')
  if (hostOnly && path !== '/') throw contradiction(`"path" is "${path}" with the prefix ${prefix}, which asks for ${description}`, 'Set "prefix" to \'__Secure-\' as well')
  if (development && sameSite === 'none') throw contradiction('"sameSite" is \'none\' with "development", and without Secure', 'Leave one out')
  if (development && partitioned) throw contradiction('"partitioned" is given with "development", and without Secure', 'Leave one out')
  return {
    name: development || prefix === 'none' ? cookieName : prefix + cookieName,
    isPersistent,
    attributes: { path, httpOnly: true, secure: !development, sameSite, partitioned, ...(domain !== undefined && { domain }) },
  }
}

/** Throws `FST_KEEP_SECURE_SESSION_TOO_LARGE`, with `size` and `limit` in bytes, for a value that needs more cookies than there may be. */
export function assertCookieFits (name: string, value: string, longestValue: number): void {
  if (value.length <= longestValue) return
  const size = name.length + value.length
  const limit = name.length + longestValue
  throw Object.assign(new TooLarge(`cookie "${name}" would have ${size} bytes of name and value`, limit), { size, limit })
}

/** `FST_KEEP_SECURE_SESSION_TOO_LARGE`, with `limit` in bytes, for data that was not measured to its end. */
export function dataTooLarge (field: string, limit: number): Error {
  // The name itself can be what is too long.
  return Object.assign(new TooLarge(`the data up to field "${field.slice(0, 80)}" is too large`, limit), { limit })
}

function contradiction (what: string, remedy: string): Error {
  return configurationError(new CookieContradicts(what, remedy))
}
