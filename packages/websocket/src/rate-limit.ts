export interface RateLimits {
  /** `0` for no limit, here and below. */
  maxMessagesPerSecond: number
  maxBytesPerSecond: number
  /** Bytes of the largest message: it must fit once. */
  maxPayload: number
}

/** What one socket may send: a bucket of a second's messages and one of a second's bytes, filled again all the time. */
export class RateLimit {
  readonly #messages: Bucket | undefined
  readonly #bytes: Bucket | undefined

  /** @param now ms */
  constructor ({ maxMessagesPerSecond, maxBytesPerSecond, maxPayload }: RateLimits, now: number) {
    if (maxMessagesPerSecond > 0) this.#messages = new Bucket(maxMessagesPerSecond, maxMessagesPerSecond, now)
    if (maxBytesPerSecond > 0) this.#bytes = new Bucket(maxBytesPerSecond, Math.max(maxBytesPerSecond, maxPayload), now)
  }

  /** Counts one message. @returns what there was too much of, if anything */
  take (bytes: number, now: number): 'messages' | 'bytes' | undefined {
    if (this.#messages?.take(1, now) === false) return 'messages'
    if (this.#bytes?.take(bytes, now) === false) return 'bytes'
    return undefined
  }
}

class Bucket {
  readonly #perSecond: number
  readonly #capacity: number
  #left: number
  #at: number

  constructor (perSecond: number, capacity: number, now: number) {
    this.#perSecond = perSecond
    this.#capacity = capacity
    this.#left = capacity
    this.#at = now
  }

  take (amount: number, now: number): boolean {
    this.#left = Math.min(this.#capacity, this.#left + (now - this.#at) / 1000 * this.#perSecond) - amount
    this.#at = now
    return this.#left >= 0
  }
}
