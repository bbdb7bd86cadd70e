import type { CookieSerializeOptions } from '@fastify/cookie'
import { assertCookieFits, type CookiePolicy } from './cookie-policy.js'
import { chunkNames, join, longestValueOf, split } from './sealed/chunks.js'

type Cookies = Readonly<Record<string, string | undefined>>

/** Reads and writes the cookie of one session, which may be spread over several. */
export class SessionCookie {
  readonly #name: string
  readonly #chunks: number
  readonly #chunkNames: readonly string[]
  /** What comes after the value. */
  readonly #attributes: string
  readonly #expiry: string
  readonly #isPersistent: boolean

  constructor ({ name, attributes, isPersistent }: CookiePolicy, chunks: number, serialize: (name: string, value: string, options?: Omit<CookieSerializeOptions, 'secure'> & { secure?: boolean }) => string) {
    this.#name = name
    this.#chunks = chunks
    this.#chunkNames = chunkNames(name)
    this.#isPersistent = isPersistent
    // Not through reply.setCookie(), which would add the application's own defaults, such as a Domain that __Host- forbids.
    this.#attributes = serialize(name, '', attributes).slice(`${name}=`.length)
    this.#expiry = serialize(name, '', { ...attributes, maxAge: 0, expires: new Date(0) }).slice(`${name}=`.length)
  }

  get name (): string { return this.#name }

  /** Characters. */
  get longestValue (): number { return longestValueOf(this.#name, this.#chunks) }

  valueIn (cookies: Cookies): string | undefined {
    return join(this.#name, cookies)
  }

  /**
   * The Set-Cookie lines of a value. Throws `FST_KEEP_SECURE_SESSION_TOO_LARGE`.
   * @param maxAge how long (s) the session can last, for a cookie that outlives the browser
   */
  lines (value: string, cookies: Cookies, maxAge: number): string[] {
    assertCookieFits(this.#name, value, this.longestValue)
    const attributes = this.#isPersistent ? `; Max-Age=${maxAge}${this.#attributes}` : this.#attributes
    const lines = split(this.#name, value).map(chunk => `${chunk.name}=${chunk.value}${attributes}`)
    return lines.concat(this.#expired(this.#stale(cookies, lines.length)))
  }

  /** The lines that take the cookie from the browser. */
  expiry (cookies: Cookies): string[] {
    return this.#expired([this.#name, ...this.#stale(cookies, 1)])
  }

  /** The further cookies in a request, from the given index on: what a shorter value leaves behind. */
  #stale (cookies: Cookies, from: number): string[] {
    return this.#chunkNames.filter((name, index) => index >= from && cookies[name] !== undefined)
  }

  #expired (names: readonly string[]): string[] {
    return names.map(name => `${name}=${this.#expiry}`)
  }
}
