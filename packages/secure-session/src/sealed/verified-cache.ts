import type { OpenedCookie } from './sealed-cookies.js'

/** Bytes counted for an entry besides its two texts. */
const OVERHEAD = 400

interface Entry {
  readonly key: string
  readonly content: OpenedCookie
  readonly bytes: number
  /** Seconds since 1970. */
  readonly endsAt: number
}

/**
 * Cookies that this process has opened, by their whole value, so that the same cookie is decrypted once.
 * Bounded in bytes: the one used least recently goes first. What it holds is immutable text.
 */
export class VerifiedCache {
  readonly #entries = new Map<string, Entry>()
  readonly #limit: number
  #bytes = 0

  /** @param limit bytes; 0 turns the cache off */
  constructor (limit: number) {
    this.#limit = limit
  }

  get size (): number { return this.#entries.size }

  get bytes (): number { return this.#bytes }

  get (value: string, now: number): OpenedCookie | undefined {
    const entry = this.#entries.get(value)
    if (entry === undefined) return undefined
    if (now >= entry.endsAt) {
      this.delete(value)
      return undefined
    }
    // A Map keeps the order of insertion: the first entry is then the one used least recently.
    if (this.#entries.size > 1) {
      this.#entries.delete(value)
      this.#entries.set(entry.key, entry)
    }
    return entry.content
  }

  /** @param endsAt when the cookie is of no use any more (s since 1970) */
  set (value: string, content: OpenedCookie, endsAt: number): void {
    // Of a text outside of Latin-1 V8 keeps two bytes a character.
    const bytes = OVERHEAD + 2 * (value.length + content.data.length)
    if (bytes > this.#limit) return
    this.delete(value)
    // A copy, because a piece of the request's header keeps all of that in memory.
    const key = Buffer.from(value, 'latin1').toString('latin1')
    this.#entries.set(key, { key, content, bytes, endsAt })
    this.#bytes += bytes
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#limit) break
      this.delete(oldest)
    }
  }

  delete (value: string): void {
    this.#bytes -= this.#entries.get(value)?.bytes ?? 0
    this.#entries.delete(value)
  }

  clear (): void {
    this.#entries.clear()
    this.#bytes = 0
  }
}
