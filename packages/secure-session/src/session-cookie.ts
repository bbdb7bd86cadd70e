import { cookieIn } from './cookie-header.js'
import { assertCookieFits, type CookiePolicy } from './cookie-policy.js'
import { chunkNames, join, longestValueOf, split } from './sealed/chunks.js'

/** Of a request. */
type CookieHeader = string | undefined

const SAME_SITE = { lax: 'Lax', strict: 'Strict', none: 'None' } as const

/** Reads and writes the cookie of one session, which may be spread over several. */
export class SessionCookie {
  readonly #name: string
  readonly #chunks: number
  /** How each of its cookies begins in a header. */
  readonly #starts: readonly string[]
  /** What comes after the value. */
  readonly #attributes: string
  readonly #expiry: string
  readonly #isPersistent: boolean

  constructor ({ name, attributes, isPersistent }: CookiePolicy, chunks: number) {
    this.#name = name
    this.#chunks = chunks
    this.#starts = chunkNames(name).map(chunkName => `${chunkName}=`)
    this.#isPersistent = isPersistent
    this.#attributes = attributesText(attributes)
    this.#expiry = `; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT${this.#attributes}`
  }

  get name (): string { return this.#name }

  /** Characters. */
  get longestValue (): number { return longestValueOf(this.#name, this.#chunks) }

  valueIn (header: CookieHeader): string | undefined {
    return join(this.#name, index => this.#chunkIn(header, index))
  }

  /**
   * The Set-Cookie lines of a value. Throws `FST_KEEP_SECURE_SESSION_TOO_LARGE`.
   * @param maxAge how long (s) the session can last, for a cookie that outlives the browser
   */
  lines (value: string, header: CookieHeader, maxAge: number): string[] {
    assertCookieFits(this.#name, value, this.longestValue)
    const attributes = this.#isPersistent ? `; Max-Age=${maxAge}${this.#attributes}` : this.#attributes
    const lines = split(this.#name, value).map(chunk => `${chunk.name}=${chunk.value}${attributes}`)
    return lines.concat(this.#stale(header, lines.length))
  }

  /** The lines that take the cookie from the browser. */
  expiry (header: CookieHeader): string[] {
    return [`${this.#name}=${this.#expiry}`, ...this.#stale(header, 1)]
  }

  /** The lines that take from the browser what a shorter value leaves behind: further cookies from the given index on. */
  #stale (header: CookieHeader, from: number): string[] {
    const left = this.#starts.filter((_, index) => index >= from && this.#chunkIn(header, index) !== undefined)
    return left.map(start => start + this.#expiry)
  }

  #chunkIn (header: CookieHeader, index: number): string | undefined {
    return header === undefined ? undefined : cookieIn(header, this.#starts[index] as string)
  }
}

/** RFC 6265bis 4.1.1; Partitioned: CHIPS. */
function attributesText ({ domain, path, secure, partitioned, sameSite }: CookiePolicy['attributes']): string {
  return [
    ...domain === undefined ? [] : [`Domain=${domain}`],
    `Path=${path}`,
    'HttpOnly',
    ...secure ? ['Secure'] : [],
    ...partitioned ? ['Partitioned'] : [],
    `SameSite=${SAME_SITE[sameSite]}`,
  ].map(attribute => `; ${attribute}`).join('')
}
