/** How a connection, or the attempt to make one, ended. */
export interface Closed {
  /** Close code of RFC 6455, 7.4; 1006 when there was no close frame: refused, unreachable, cut, silent. */
  readonly code: number
  /** What the server said, or what went wrong here. */
  readonly reason: string
  /** Status of the answer that refused the handshake, where the constructor tells (that of the package ws; no browser does). */
  readonly status?: number | undefined
  /** Time in s before which the server does not want to be asked again, by its Retry-After or its reason. */
  readonly retryAfter?: number | undefined
  /** Time in ms until the next attempt; `undefined` when there is none. */
  readonly delay?: number
}

/** Close code "try again later" of the IANA registry: without a hint the server gets this much rest, in s. */
const OVERLOADED = 1013
const REST = 5

/** ms; a timer of more than twice as many would fire at once. */
const LONGEST = 2 ** 30

/**
 * Codes after which the same client would only be closed again: 1000 normal end, 1002 protocol error, 1003 and 1007 data
 * refused, 1008 policy, 1009 too big, 1010 missing extension, 1015 certificate, and 44xx, read as the HTTP status 4xx,
 * but for timeout, too early and too many. https://www.iana.org/assignments/websocket
 */
const FINAL = /^(100[023789]|101[05]|44(?!08|25|29)..)$/

/** Whether trying again would be of no use. */
export function isForGood ({ code }: Closed): boolean {
  return FINAL.test(`${code}`)
}

/**
 * Time in ms until the next attempt: full jitter, after the time that the server asked for.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 *
 * @param failures attempts in a row that did not last
 */
export function reconnectDelay ({ code, retryAfter = code === OVERLOADED ? REST : 0 }: Closed, failures: number, minDelay: number, maxDelay: number): number {
  const floor = Math.min(retryAfter * 1_000, LONGEST)
  return floor + Math.random() * Math.max(floor, Math.min(maxDelay, minDelay * 2 ** failures))
}

/** The time in s that a close reason asks for, such as `server is restarting; retry-after=2`. */
export function hintIn (reason: string): number | undefined {
  return Number(/retry-after=([\d.]+)$/.exec(reason)?.[1]) || undefined
}
