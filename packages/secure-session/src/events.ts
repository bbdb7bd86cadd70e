import { channel } from 'node:diagnostics_channel'
import type { FastifyRequest } from 'fastify'
import type { SealRefusal } from './sealed/seal.js'

/**
 * Why the cookie of a request was not accepted:
 * - `too-large`: more bytes of name and value than the cookies of one session may have
 * - `malformed`: not canonical base64url, too short, or a content of another shape
 * - `unknown-version`, `unknown-key`: another format, or a key that is not in the ring
 * - `day-in-future`, `expired`: its day in clear is ahead, or too long ago; nothing was decrypted
 * - `tampered`: its authentication failed, also because it belongs to another cookie name or application
 * - `time-in-future`: genuine, and its begin or last renewal is ahead by more than the clock skew
 * - `idle-timeout`, `absolute-timeout`: genuine, and past its time
 * - `ended`: genuine, and its session was ended: by logout, regenerated, or by the subject's `notBefore`
 * - `unknown-session`: genuine, and the store has no such session: ended there, or expired
 */
export type RefusalReason = SealRefusal | 'too-large' | 'time-in-future' | 'idle-timeout' | 'absolute-timeout' | 'ended' | 'unknown-session'

/** What subscribers of the diagnostics channel `fastkeep:secure-session:refused` receive. */
export interface SessionRefused {
  readonly reason: RefusalReason
  readonly cookieName: string
  readonly request: FastifyRequest
}

/** What subscribers of the other channels receive. The id is the one under which a store keeps the session: a hash. */
export interface SessionEvent {
  /** The session's name, as on the request. */
  readonly name: string
  readonly handle: string
  readonly subject: string | undefined
  /** Of the request that did it; a session that `app.sessions` ended has none. */
  readonly request: FastifyRequest | undefined
}

const EVENTS = ['created', 'loaded', 'renewed', 'regenerated', 'destroyed'] as const

export type SessionEventName = typeof EVENTS[number]

/** How often each event came in this process, refusals by reason. */
export interface SessionCounts extends Readonly<Record<SessionEventName, number>> {
  readonly refused: Readonly<Partial<Record<RefusalReason, number>>>
  /** Changes that came too late: the session had been ended by another request. */
  readonly dropped: number
}

const channels = Object.fromEntries(EVENTS.map(name => [name, channel(`fastkeep:secure-session:${name}`)])) as Record<SessionEventName, ReturnType<typeof channel>>
const refused = channel('fastkeep:secure-session:refused')

/** Counts what happens to the sessions of one registration, and tells the diagnostics channels. */
export class SessionEvents {
  readonly #name: string
  readonly #counts = { created: 0, loaded: 0, renewed: 0, regenerated: 0, destroyed: 0, dropped: 0 }
  readonly #refusals = new Map<RefusalReason, number>()

  constructor (name: string) {
    this.#name = name
  }

  get counts (): SessionCounts {
    return { ...this.#counts, refused: Object.fromEntries(this.#refusals) }
  }

  /** @param handle is made only if somebody listens */
  publish (event: SessionEventName, handle: () => string, subject: string | undefined, request?: FastifyRequest): void {
    this.#counts[event]++
    const target = channels[event]
    if (target.hasSubscribers) target.publish({ name: this.#name, handle: handle(), subject, request } satisfies SessionEvent)
  }

  /** Never with the cookie's value: an expired cookie may be accepted elsewhere. */
  refuse (message: SessionRefused): void {
    const { reason, cookieName, request } = message
    this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1)
    if (refused.hasSubscribers) refused.publish(message)
    request.log.info({ code: 'FST_KEEP_SECURE_SESSION_REFUSED', reason, cookieName }, 'session cookie refused, the session is new')
  }

  /** A change was not written, because the session had ended meanwhile. */
  drop (request: FastifyRequest): void {
    this.#counts.dropped++
    request.log.info({ code: 'FST_KEEP_SECURE_SESSION_DROPPED' }, 'a change of a session was not written: another request had ended the session')
  }
}
