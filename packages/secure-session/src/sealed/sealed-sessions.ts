import { LARGEST_COOKIE } from '../cookie-policy.js'
import { isInFuture, isRenewalDue, passedLimit, type Lifetimes } from '../lifetimes.js'
import type { SessionOrigin } from '../opened-session.js'
import type { RefusalReason } from '../refusals.js'
import { recordFromText, recordToText, type SessionRecord } from '../session-record.js'
import type { KeyRing } from './key-ring.js'
import { open, seal, type SealContext } from './seal.js'

export interface SealedSessions {
  /** Reads the session in a cookie's value, or says why it is refused. Never throws. */
  read (value: string, now: number): SessionOrigin | { readonly refused: RefusalReason }
  /** The cookie's value for a session. */
  write (record: SessionRecord, now: number): string
}

export interface SealedSessionsOptions extends Lifetimes {
  readonly ring: KeyRing
  readonly cookieName: string
  readonly application: string
}

/** Sessions that live in the cookie alone, sealed. */
export function sealedSessions ({ ring, cookieName, application, ...lifetimes }: SealedSessionsOptions): SealedSessions {
  const context: SealContext = { ring, cookieName, application, purpose: 'session', longestAge: lifetimes.absoluteTimeout }

  return {
    read (value, now) {
      if (cookieName.length + value.length > LARGEST_COOKIE) return { refused: 'too-large' }
      const opened = open(context, value, now)
      if ('refused' in opened) return opened
      const record = recordFromText(opened.text)
      if (record === undefined) return { refused: 'malformed' }
      if (isInFuture(record, now)) return { refused: 'time-in-future' }
      const passed = passedLimit(record, lifetimes, now)
      if (passed !== undefined) return { refused: passed }
      return { record, text: opened.text, mustBeWritten: opened.isKeyRetired || isRenewalDue(record, lifetimes, now) }
    },
    write: (record, now) => seal(context, recordToText(record), now),
  }
}
