import { UpdateRefused } from '../errors.js'
import { expiryOf, GRACE, isRenewalDue, type Lifetimes } from '../lifetimes.js'
import type { Commitment, Reading, SessionMode } from '../mode.js'
import type { SessionOrigin } from '../opened-session.js'
import type { Plan } from '../plan.js'
import type { SessionRecord } from '../session-record.js'
import { storedId } from '../stored-id.js'
import type { End, EndedSessions, Revocation } from './ended-sessions.js'
import type { OpenedCookie, SealedCookies } from './sealed-cookies.js'

/** Since when (s since 1970) a subject's sessions are accepted; `undefined` for all. */
export type NotBefore = (subject: string) => number | undefined | Promise<number | undefined>

export interface SealedSessionsOptions extends Lifetimes {
  readonly cookies: SealedCookies
  readonly ended: EndedSessions
  readonly revocation: Revocation | undefined
  readonly notBefore: NotBefore | undefined
  /** Notes the end of a session, here and wherever else it is to be known. */
  readonly noteEnd: (id: string, end: End) => void
}

/** Sessions that live in the cookie alone, sealed. */
export class SealedSessions implements SessionMode {
  readonly #options: SealedSessionsOptions

  constructor (options: SealedSessionsOptions) {
    this.#options = options
  }

  read (value: string, now: number): Reading | Promise<Reading> {
    const { cookies, ended, revocation, notBefore } = this.#options
    const cookie = cookies.open(value, now)
    if ('refused' in cookie) return cookie
    if (ended.isEnded(cookie.record.id, now)) return { refused: 'ended' }
    const origin = this.#originOf(cookie, now)
    if (revocation === undefined && (notBefore === undefined || cookie.record.subject === undefined)) return origin
    return this.#isRevoked(cookie.record).then(isRevoked => isRevoked ? { refused: 'ended' } : origin)
  }

  commit (plan: Plan, origin: SessionOrigin, now: number): Commitment | Promise<Commitment> {
    const { ended } = this.#options
    const { id } = origin.record
    switch (plan.kind) {
      case 'nothing': return { cookie: 'unchanged', origin }
      case 'destroy': return this.#ended(origin, now, { cookie: 'expired', origin })
      case 'create': return this.#sealed(plan.record, plan.data(), origin, now)
      case 'renew':
        // The browser has a later cookie by now, or none; it may not get one made from an earlier.
        if (ended.isEnding(id) || ended.isSealedSince(id, origin.sealedAt ?? 0)) return { cookie: 'unchanged', origin }
        return this.#sealed(origin.record, origin.data, origin, now)
      case 'patch':
        if (ended.isEnding(id)) return { cookie: 'unchanged', origin, isDropped: true }
        return this.#sealed(plan.record, plan.data(), origin, now)
      case 'rename': {
        if (ended.isEnding(id) && !plan.isLogin) return { cookie: 'unchanged', origin, isDropped: true }
        const commitment = this.#sealed(plan.record, plan.data(), origin, now)
        // What was changed before the new id would still be read from the old cookie: a logout may be among it.
        const grace = plan.isLogin || Object.keys(plan.before).length > 0 ? 0 : GRACE
        return this.#ended(origin, now, commitment, grace)
      }
    }
  }

  async update (): Promise<void> {
    throw new UpdateRefused()
  }

  isAlive (record: SessionRecord): boolean | Promise<boolean> {
    const { ended, revocation, notBefore } = this.#options
    if (ended.isEnding(record.id)) return false
    if (revocation === undefined && notBefore === undefined) return true
    return this.#isRevoked(record).then(isRevoked => !isRevoked)
  }

  handleOf (id: string): string {
    return storedId(id)
  }

  async #isRevoked ({ id, subject, createdAt, authenticatedAt = createdAt }: SessionRecord): Promise<boolean> {
    const { revocation, notBefore } = this.#options
    if (await revocation?.isEnded(storedId(id)) === true) return true
    return subject !== undefined && authenticatedAt < (await notBefore?.(subject) ?? 0)
  }

  #originOf (cookie: OpenedCookie, now: number): SessionOrigin {
    const { record, data, sealedAt, isKeyRetired, keyId } = cookie
    return { record, data, sealedAt, keyId, isNew: false, isRenewalDue: isKeyRetired || isRenewalDue(record, this.#options, now) }
  }

  #sealed (record: SessionRecord, data: string, origin: SessionOrigin, now: number): Commitment {
    const { cookies, ended } = this.#options
    const renewed = { ...record, renewedAt: now }
    // Later than what it was made from, even in the same millisecond.
    const sealedAt = Math.max(Date.now(), (origin.sealedAt ?? 0) + 1)
    const value = cookies.seal({ record: renewed, sealedAt, data }, now)
    ended.noteSeal(record.id, sealedAt)
    return { cookie: { value, record: renewed }, origin: { record: renewed, data, sealedAt, isNew: false } }
  }

  #ended (origin: SessionOrigin, now: number, commitment: Commitment, grace = 0): Commitment | Promise<Commitment> {
    if (origin.isNew) return commitment
    const { revocation, noteEnd, ...lifetimes } = this.#options
    const { id } = origin.record
    // Another request may just have renewed it.
    const until = expiryOf({ createdAt: origin.record.createdAt, renewedAt: now }, lifetimes)
    const end = { from: now + grace, until }
    noteEnd(id, end)
    const told = revocation?.end(storedId(id), end)
    return told instanceof Promise ? told.then(() => commitment) : commitment
  }
}
