/** The limits of every session, in seconds. */
export interface Lifetimes {
  readonly idleTimeout: number
  readonly absoluteTimeout: number
  /** How long after its last renewal a use of the session renews it again. */
  readonly renewAfter: number
}

/** Now, in whole seconds since 1970, and the limits that hold now. */
export interface Moment extends Lifetimes {
  readonly now: number
}

/** The times of one session, in whole seconds since 1970. */
export interface SessionTimes {
  /** When it began, or was last regenerated. */
  readonly createdAt: number
  /** When it was last written or renewed. */
  readonly renewedAt: number
}

/** 30 minutes idle, 12 hours in all: ASVS 5.0 asks for both limits (7.3.1 and 7.3.2). */
export const DEFAULT_LIFETIMES = { idleTimeout: 30 * 60, absoluteTimeout: 12 * 60 * 60 }

/** The longest either limit can be, in seconds: the 400 days after which browsers drop any cookie (RFC 6265bis 5.5). */
export const LONGEST_LIFETIME = 400 * 24 * 60 * 60

/** How far (s) the clock of another machine that seals with the same keys may be ahead. */
export const CLOCK_SKEW = 60

/** How long (s) requests that are under way may still use the id that `regenerate()` has replaced. */
export const GRACE = 5

/** Whether a time is ahead of `now` (s) by more than the clock skew: a limit counted from it would come too late. */
export function isInFuture ({ createdAt, renewedAt }: SessionTimes, now: number): boolean {
  return Math.max(createdAt, renewedAt) > now + CLOCK_SKEW
}

/** When a session ends if nothing renews it: the earlier of both limits. */
export function expiryOf ({ createdAt, renewedAt }: SessionTimes, { idleTimeout, absoluteTimeout }: Lifetimes): number {
  return Math.min(createdAt + absoluteTimeout, renewedAt + idleTimeout)
}

/** Which limit has passed at `now` (s), if any. A session has ended in the very second of its limit. */
export function passedLimit (times: SessionTimes, lifetimes: Lifetimes, now: number): 'absolute-timeout' | 'idle-timeout' | undefined {
  if (now - times.createdAt >= lifetimes.absoluteTimeout) return 'absolute-timeout'
  if (now - times.renewedAt >= lifetimes.idleTimeout) return 'idle-timeout'
  return undefined
}

/** Whether the session was renewed so long before `now` (s) that its use must renew it. */
export function isRenewalDue ({ renewedAt }: SessionTimes, { renewAfter }: Lifetimes, now: number): boolean {
  return now - renewedAt >= renewAfter
}

/** The present in whole seconds since 1970. */
export function currentSecond (): number {
  return Math.floor(Date.now() / 1000)
}
