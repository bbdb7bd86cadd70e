import type { RefusalReason } from './events.js'
import type { OpenedSession, SessionOrigin } from './opened-session.js'
import type { Plan } from './plan.js'
import type { SessionRecord } from './session-record.js'

/** What the request's cookies gave for one session. */
export type Reading = SessionOrigin | { readonly refused: RefusalReason }

/** What was done, and what the cookie is to be. */
export interface Commitment {
  /** `unchanged` also takes back a cookie that an earlier decision of the same response put there. */
  readonly cookie: 'unchanged' | 'expired' | { readonly value: string, readonly record: SessionRecord }
  /** From what later changes in the same request are counted. */
  readonly origin: SessionOrigin
  /** The change came too late: the session had been ended by another request. */
  readonly isDropped?: boolean
  /** Other sessions of the subject that this login has ended, by their handles. */
  readonly displaced?: readonly string[]
}

/** Where the sessions of one registration live: in their cookie, or in a store. */
export interface SessionMode {
  /** Opens a cookie's value. Answers at once where nothing has to be asked. Rejects if the store cannot be reached. */
  read (value: string, now: number): Reading | Promise<Reading>
  /** Does what a request decided. Rejects, with nothing told to the browser, if the store cannot be reached. */
  commit (plan: Plan, origin: SessionOrigin, now: number): Commitment | Promise<Commitment>
  /** Changes the session now, from what it is now. */
  update (session: OpenedSession, change: (data: Record<string, unknown>) => unknown): Promise<void>
  /** Whether the session goes on: asked from time to time while something depends on it, such as a socket. */
  isAlive (record: SessionRecord): boolean | Promise<boolean>
  /** The name under which a session is told of. */
  handleOf (id: string): string
}
