/**
 * The fields of a session: an application adds its own by declaration merging. Values are what JSON can carry.
 *
 * @example
 * declare module '@fastkeep/secure-session' {
 *   interface SessionData { user: string, cart: { items: string[] } }
 * }
 */
export interface SessionData {}
