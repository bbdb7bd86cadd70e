/** What `Clear-Site-Data` can name (W3C Clear Site Data). */
export const CLEAR_SITE_DATA = ['cache', 'cookies', 'storage', 'clientHints', 'executionContexts', '*'] as const

export type ClearSiteData = typeof CLEAR_SITE_DATA[number]

/** The header's value. @example clearSiteDataValue(['cache', 'storage']) // '"cache", "storage"' */
export function clearSiteDataValue (kinds: readonly ClearSiteData[]): string {
  return kinds.map(kind => `"${kind}"`).join(', ')
}
