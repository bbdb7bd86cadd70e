import { expiryOf, isInFuture, passedLimit, type Lifetimes } from '../lifetimes.js'
import type { RefusalReason } from '../events.js'
import type { SessionRecord } from '../session-record.js'
import { fromText, isNumberOrNull, isTextOrNull, isTime, objectFrom, toText } from '../session-text.js'
import { storedId } from '../stored-id.js'
import type { KeyRing } from './key-ring.js'
import { open, seal, type SealContext } from './seal.js'
import { VerifiedCache } from './verified-cache.js'

/** What a cookie holds. In store mode the data is `{}` and the record no more than the id and its begin. */
export interface SealedContent {
  readonly record: SessionRecord
  /** When the cookie was sealed, in ms since 1970. */
  readonly sealedAt: number
  /** JSON text of an object. */
  readonly data: string
}

export interface OpenedCookie extends SealedContent {
  /** Sealed with a key that is no longer the first. */
  readonly isKeyRetired: boolean
  /** Of the key that it was sealed with. */
  readonly keyId: Buffer
  /** What a store or a `revocation` knows of its id. */
  readonly handle: string
}

export interface SealedCookiesOptions extends Lifetimes {
  readonly ring: KeyRing
  readonly cookieName: string
  readonly application: string
  /** Keeps cookies that hold a session apart from those that hold the id of one. */
  readonly purpose: 'session' | 'session-id'
  /** Bytes of cookies kept after they were opened. */
  readonly cacheBytes: number
  /** Longest value (characters). */
  readonly longestValue: number
}

/** Seals and opens the values of one session's cookie. */
export class SealedCookies {
  readonly #options: SealedCookiesOptions
  readonly #cache: VerifiedCache
  #context: SealContext

  constructor (options: SealedCookiesOptions) {
    this.#options = options
    this.#cache = new VerifiedCache(options.cacheBytes)
    this.#context = this.#contextOf(options.ring)
  }

  get cache (): VerifiedCache { return this.#cache }

  /** Takes another ring of keys; what the cache holds was opened with the former one and is forgotten. */
  use (ring: KeyRing): void {
    this.#context = this.#contextOf(ring)
    this.#cache.clear()
  }

  /** Opens a cookie's value, or says why it is refused. Never throws. */
  open (value: string, now: number): OpenedCookie | { readonly refused: RefusalReason } {
    const known = this.#cache.get(value, now)
    if (known !== undefined) return known
    if (value.length > this.#options.longestValue) return { refused: 'too-large' }
    const opened = open(this.#context, value, now)
    if ('refused' in opened) return opened
    const content = contentFrom(opened.text)
    if (content === undefined) return { refused: 'malformed' }
    const { record } = content
    if (isInFuture(record, now)) return { refused: 'time-in-future' }
    const passed = passedLimit(record, this.#lifetimes, now)
    if (passed !== undefined) return { refused: passed }
    const cookie: OpenedCookie = Object.freeze({ ...content, isKeyRetired: opened.isKeyRetired, keyId: opened.keyId, handle: storedId(record.id) })
    this.#cache.set(value, cookie, expiryOf(record, this.#lifetimes))
    return cookie
  }

  seal ({ record, sealedAt, data }: SealedContent, now: number): string {
    const { id, createdAt, renewedAt, subject = null, authenticatedAt = null } = record
    return seal(this.#context, toText([id, createdAt, renewedAt, sealedAt, subject, authenticatedAt], data), now)
  }

  /** The same for a cookie that holds an id: how long that was idle only the store knows. */
  get #lifetimes (): Lifetimes {
    const { purpose, absoluteTimeout } = this.#options
    return purpose === 'session' ? this.#options : { ...this.#options, idleTimeout: absoluteTimeout }
  }

  #contextOf (ring: KeyRing): SealContext {
    const { cookieName, application, purpose, absoluteTimeout } = this.#options
    return { ring, cookieName, application, purpose, longestAge: absoluteTimeout }
  }
}

function contentFrom (text: string): SealedContent | undefined {
  const read = fromText(text)
  if (read === undefined) return undefined
  const [id, createdAt, renewedAt, sealedAt, subject, authenticatedAt] = read.facts
  if (typeof id !== 'string' || !isTime(createdAt) || !isTime(renewedAt) || !isTime(sealedAt)) return undefined
  if (!isTextOrNull(subject) || !isNumberOrNull(authenticatedAt) || objectFrom(read.data) === undefined) return undefined
  const record = { id, createdAt, renewedAt, subject: subject ?? undefined, authenticatedAt: authenticatedAt ?? undefined }
  return { record, sealedAt, data: read.data }
}
