import { currentSecond } from '../lifetimes.js'

/**
 * Where several processes tell each other which sealed sessions have ended. Without one each process knows
 * only of those that it has ended itself.
 */
export interface Revocation {
  /** Whether a session was ended and its time to end has come. May answer at once. @param id as a store would know it, a hash */
  isEnded (id: string): boolean | Promise<boolean>
  /** Ends a session. Rejects if that is not certain, and so fails the request. It may be forgotten when its cookies have expired. */
  end (id: string, end: End): void | Promise<void>
}

/** When a session ends whose cookies are sealed. */
export interface End {
  /** From when on (s since 1970) its cookies are refused. */
  readonly from: number
  /** When they expire by themselves (s since 1970). */
  readonly until: number
}

/**
 * The sessions that this process has ended, until their cookies expire by themselves; and when it last sealed a session.
 * Both are bounded: what was noted first goes first.
 */
export class EndedSessions {
  readonly #ends = new Map<string, End>()
  /** In two parts: when the newer one is full, the older one goes. */
  #seals = new Map<string, number>()
  #olderSeals = new Map<string, number>()
  readonly #most: number

  constructor (most: number) {
    this.#most = most
  }

  get size (): number { return this.#ends.size }

  /** All ends that still count, each with `from` and `until`. */
  entries (): Array<[id: string, from: number, until: number]> {
    const now = currentSecond()
    const entries: Array<[string, number, number]> = []
    for (const [id, { from, until }] of this.#ends) if (until > now) entries.push([id, from, until])
    return entries
  }

  /** Whether cookies of the session are refused. */
  isEnded (id: string, now: number): boolean {
    const end = this.#ends.get(id)
    return end !== undefined && now >= end.from
  }

  /** Whether the session has ended or is about to: it must not be written any more. */
  isEnding (id: string): boolean {
    return this.#ends.has(id)
  }

  /** @returns false if an end that still counts had to be forgotten for it */
  end (id: string, { from, until }: End): boolean {
    const earlier = this.#ends.get(id)
    this.#ends.delete(id)
    this.#ends.set(id, { from: Math.min(from, earlier?.from ?? from), until: Math.max(until, earlier?.until ?? until) })
    this.#seals.delete(id)
    this.#olderSeals.delete(id)
    return this.#forget()
  }

  /** Whether this process has sealed the session after `sealedAt` (ms since 1970). */
  isSealedSince (id: string, sealedAt: number): boolean {
    return this.#lastSealOf(id) > sealedAt
  }

  noteSeal (id: string, sealedAt: number): void {
    this.#seals.set(id, Math.max(this.#lastSealOf(id), sealedAt))
    if (this.#seals.size < this.#most / 2) return
    this.#olderSeals = this.#seals
    this.#seals = new Map()
  }

  #lastSealOf (id: string): number {
    return this.#seals.get(id) ?? this.#olderSeals.get(id) ?? 0
  }

  #forget (): boolean {
    if (this.#ends.size <= this.#most) return true
    const now = currentSecond()
    // The first were noted first, and most of them have expired first.
    for (const [id, { until }] of this.#ends) {
      if (until > now) break
      this.#ends.delete(id)
    }
    if (this.#ends.size <= this.#most) return true
    this.#ends.delete(this.#ends.keys().next().value as string)
    return false
  }
}
