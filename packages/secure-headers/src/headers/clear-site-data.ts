import { ClearSiteDataInvalid } from '../errors.js'

/** What a browser can be told to forget. `clientHints`, `executionContexts`, `prefetchCache` and `prerenderCache` are not known to all. */
export const SITE_DATA = ['cache', 'cookies', 'storage', 'clientHints', 'executionContexts', 'prefetchCache', 'prerenderCache', '*'] as const

export type SiteData = typeof SITE_DATA[number]

/** What OWASP's Secure Headers Project asks for on log-out. */
export const LOG_OUT_DATA: readonly SiteData[] = ['cache', 'cookies', 'storage']

/**
 * The value of `Clear-Site-Data`. Browsers obey it on responses over TLS and from localhost.
 *
 * @throws `FST_KEEP_SECURE_HEADERS_CLEAR_SITE_DATA` for what no browser knows
 * @example clearSiteData() // '"cache", "cookies", "storage"'
 * @see https://w3c.github.io/webappsec-clear-site-data/#header
 */
export function clearSiteData (...types: readonly SiteData[]): string {
  const stranger = types.find(type => !SITE_DATA.includes(type))
  if (stranger !== undefined) throw new ClearSiteDataInvalid(String(JSON.stringify(stranger)).slice(0, 40), SITE_DATA.join(', '))
  return (types.length === 0 ? LOG_OUT_DATA : types).map(type => `"${type}"`).join(', ')
}
