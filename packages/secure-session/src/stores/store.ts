import type { Moment, SessionTimes } from '../lifetimes.js'

/** Fields by name: the JSON text of a new value, or `undefined` for one that is to be removed. */
export type FieldChanges = Readonly<Record<string, string | undefined>>

/** Who has logged in, and when (s since 1970, to the millisecond). */
export interface Identity {
  readonly subject?: string | undefined
  readonly authenticatedAt?: number | undefined
}

/** What is told of a session in a list. */
export interface SessionSummary extends SessionTimes, Identity {
  /** The id under which the store keeps it: the SHA-256 of what the cookie holds, base64url. */
  readonly handle: string
}

/** A session as a store keeps it. */
export interface StoredSession extends SessionTimes, Identity {
  /** Counts the writes: another number after each `patch`, `rename` and `create`. */
  readonly version: number
  /** JSON text of an object. */
  readonly data: string
  /** `read` has just renewed it. */
  readonly isRenewed?: boolean | undefined
  /** The id that has replaced the one by which this was read: what is read is as it was then. */
  readonly movedTo?: string | undefined
}

/** What becomes of a session under its next id. */
export interface Renaming extends SessionTimes, Identity {
  /** The fields that are kept; the others are left behind. `undefined` keeps all. */
  readonly only: readonly string[] | undefined
  /** Applied to what is kept. */
  readonly fields: FieldChanges
  /** How long (s) the former id still reads as it was, its patches going to the next one; 0 ends it at once. */
  readonly grace: number
}

/**
 * Where sessions are kept. Ids are 43 characters of base64url, SHA-256 of what the cookie holds: a copy of the store opens no session.
 *
 * Each method is atomic for its id, also among processes where the store is shared by several.
 * A method that cannot do its work rejects; it never answers as if there were no session.
 * `moment` says what time it is and which limits hold: a session expires at `expiryOf(session, moment)`, and is gone for every method then.
 */
export interface SessionStore {
  /**
   * The session, or `undefined` if there is none. Renews it (`renewedAt = now`) if that is due by `renewAfter`.
   * Under an id in its grace: the session as it was then, not renewed, with `movedTo`; nothing once that one has ended.
   * May answer at once, where the sessions are in this process.
   */
  read (id: string, moment: Moment): StoredSession | undefined | Promise<StoredSession | undefined>
  /** Keeps a new session under an id that never was. */
  create (id: string, session: StoredSession, moment: Moment): Promise<void>
  /**
   * Changes single fields, renews the session, and counts its version up. Under an id in its grace it changes the next one.
   * @returns `missing` if there is none; `conflict` if `ifVersion` is given and is not its version
   */
  patch (id: string, changes: FieldChanges, moment: Moment, ifVersion?: number): Promise<'done' | 'missing' | 'conflict'>
  /** @returns `missing` if there is none; `moved` if the id is in its grace already, and then nothing was done */
  rename (oldId: string, newId: string, renaming: Renaming, moment: Moment): Promise<'done' | 'missing' | 'moved'>
  /** Renews the session. @returns whether there is one */
  touch (id: string, moment: Moment): Promise<boolean>
  /** Ends the session for good; under an id in its grace the next one as well. @returns whether there was one */
  destroy (id: string): Promise<boolean>
  /** Ends all sessions of a subject. @returns how many */
  destroyAll? (subject: string): Promise<number>
  /** All live sessions of a subject. */
  list? (subject: string): Promise<SessionSummary[]>
  /** Called once, when the application closes. */
  close (): Promise<void>
}

/** The data with single fields changed, as JSON text. For stores that keep the data whole. */
export function mergeFields (data: string, changes: FieldChanges, only?: readonly string[]): string {
  const names = Object.keys(changes)
  if (names.length === 0 && only === undefined) return data
  const before = JSON.parse(data) as Record<string, unknown>
  const kept = Object.entries(before).filter(([name]) => only?.includes(name) !== false && !Object.hasOwn(changes, name))
  const set = names.filter(name => changes[name] !== undefined)
  const texts = [...kept.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`), ...set.map(name => `${JSON.stringify(name)}:${changes[name]}`)]
  return `{${texts.join()}}`
}

/** A session under its next id. */
export function renamed (session: StoredSession, { createdAt, renewedAt, subject, authenticatedAt, only, fields }: Renaming): StoredSession {
  return { version: session.version + 1, createdAt, renewedAt, subject, authenticatedAt, data: mergeFields(session.data, fields, only) }
}
