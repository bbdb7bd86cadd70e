import { channel } from 'node:diagnostics_channel'
import type { FastifyRequest } from 'fastify'
import type { SealRefusal } from './sealed/seal.js'

/**
 * Why the cookie of a request was not accepted:
 * - `too-large`: more than 4096 bytes of name and value
 * - `malformed`: not canonical base64url, too short, or a content of another shape
 * - `unknown-version`, `unknown-key`: another format, or a key that is not in the ring
 * - `day-in-future`, `expired`: its day in clear is ahead, or too long ago; nothing was decrypted
 * - `tampered`: its authentication failed, also because it belongs to another cookie name or application
 * - `time-in-future`: genuine, and its begin or last renewal is ahead by more than the clock skew
 * - `idle-timeout`, `absolute-timeout`: genuine, and past its time
 */
export type RefusalReason = SealRefusal | 'too-large' | 'time-in-future' | 'idle-timeout' | 'absolute-timeout'

/** What subscribers of the diagnostics channel `fastkeep:secure-session:refused` receive. */
export interface SessionRefused {
  readonly reason: RefusalReason
  readonly cookieName: string
  readonly request: FastifyRequest
}

const refused = channel('fastkeep:secure-session:refused')

/** Tells the channel and the log. Never with the value: an expired cookie may be accepted elsewhere. */
export function reportRefusal (message: SessionRefused): void {
  if (refused.hasSubscribers) refused.publish(message)
  const { reason, cookieName, request } = message
  request.log.info({ code: 'FST_KEEP_SECURE_SESSION_REFUSED', reason, cookieName }, 'session cookie refused, the session is new')
}
