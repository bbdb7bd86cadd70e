import { AlreadySent, Destroyed } from './errors.js'
import { assertFieldName, assertJson } from './json-values.js'
import { currentSecond } from './lifetimes.js'
import { emptyData, newRecord, recordToText, type SessionRecord } from './session-record.js'

/** Where a session came from. */
export interface SessionOrigin {
  readonly record: SessionRecord
  /** The record's text as it was read; none for a new session. */
  readonly text?: string
  /** The session must be written even if nothing changes: its idle time is to be restarted or its key was retired. */
  readonly mustBeWritten?: boolean
  /** The request carried the cookie, accepted or refused. */
  readonly isCookiePresent?: boolean
}

/** What must become of the cookie when the response goes out. */
export type Outcome =
  | { readonly cookie: 'kept' | 'expired' }
  | { readonly cookie: 'written', readonly record: SessionRecord }

/** The session of one request, while that request lasts. */
export class OpenedSession {
  readonly #origin: SessionOrigin
  readonly #isResponseWritten: () => boolean
  #record: SessionRecord
  #isDestroyed = false

  constructor (origin: SessionOrigin, isResponseWritten: () => boolean) {
    this.#origin = origin
    this.#isResponseWritten = isResponseWritten
    this.#record = origin.record
  }

  get id (): string { return this.#record.id }

  get isNew (): boolean { return this.#origin.text === undefined }

  get isEmpty (): boolean { return this.keys().length === 0 }

  keys (): string[] { return Object.keys(this.#record.data) }

  get (key: string): unknown { return this.#record.data[key] }

  set (key: string, value: unknown): void {
    this.#assertChangeable()
    assertFieldName(key, key)
    if (value === undefined) {
      Reflect.deleteProperty(this.#record.data, key)
    } else {
      assertJson({ [key]: value })
      this.#record.data[key] = value
    }
  }

  data (): Record<string, unknown> { return { ...this.#record.data } }

  destroy (): void {
    if (this.#isDestroyed) return
    this.#assertChangeable()
    this.#isDestroyed = true
    this.#record = { ...this.#record, data: emptyData() }
  }

  regenerate (keep: readonly string[] = []): void {
    this.#assertChangeable()
    const kept = this.keys().filter(key => keep.includes(key))
    const data = emptyData()
    for (const key of kept) data[key] = this.#record.data[key]
    this.#record = newRecord(currentSecond(), data)
  }

  /** Throws for data that JSON cannot carry or that no cookie can hold: a nested change was not seen when it was made. */
  outcome (now: number): Outcome {
    // A cross-site request comes without the cookie, which is SameSite: its answer must not delete the cookie all the same.
    if (this.#isDestroyed) return { cookie: this.#origin.isCookiePresent === true ? 'expired' : 'kept' }
    assertJson(this.#record.data)
    if (!this.#hasChanged() && this.#origin.mustBeWritten !== true) return { cookie: 'kept' }
    return { cookie: 'written', record: { ...this.#record, renewedAt: now } }
  }

  #hasChanged (): boolean {
    return this.isNew ? !this.isEmpty : recordToText(this.#record) !== this.#origin.text
  }

  #assertChangeable (): void {
    if (this.#isDestroyed) throw new Destroyed()
    if (this.#isResponseWritten()) throw new AlreadySent()
  }
}
