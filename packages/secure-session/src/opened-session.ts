import { AlreadySent, Destroyed, NotLoaded, SubjectInvalid, TextNotUnicode } from './errors.js'
import { assertFieldName, assertJson, hasLoneSurrogate } from './json-values.js'
import { currentSecond } from './lifetimes.js'
import type { Plan } from './plan.js'
import { newRecord, type SessionRecord } from './session-record.js'
import type { FieldChanges } from './stores/store.js'

/** Where a session came from. */
export interface SessionOrigin {
  readonly record: SessionRecord
  /** The data as it was read: JSON text of an object. */
  readonly data: string
  /** The same, parsed for this request alone, where that was done already. */
  readonly parsed?: Record<string, unknown> | undefined
  /** No accepted cookie came. */
  readonly isNew: boolean
  /** When the cookie was sealed (ms since 1970), in sealed mode. */
  readonly sealedAt?: number | undefined
  /** The cookie must be sealed again even if nothing changes: its key was retired, or its idle time is to be restarted. */
  readonly isRenewalDue?: boolean | undefined
  /** Reading it has restarted its idle time. */
  readonly isRenewed?: boolean | undefined
  /** Of the key that the request's cookie was sealed with. */
  readonly keyId?: Buffer | undefined
  /** The id that the session has by now: this request came with one in its grace. */
  readonly movedTo?: string | undefined
}

/** What a session needs of the request and the registration it is of. */
export interface SessionHost {
  /** The name of the session, for errors. */
  readonly name: string
  /** Longest data, in bytes. */
  readonly largestData: number
  /** The cookie is decided, or the response is on its way. */
  readonly isResponseWritten: boolean
  /** Throws if this request may not log in. */
  assertLoginAllowed (): void
}

const EMPTY = '{}'

/** Most requests only read: they need no map of what changed. */
const NONE: Map<string, string | undefined> = new Map()

export function newOrigin (now: number): SessionOrigin {
  return { record: newRecord(now), data: EMPTY, isNew: true }
}

/** Data is changed by setting fields, and by changing what is inside of them. */
type Data = Record<string, unknown>

/** The session of one request, while that request lasts. */
export class OpenedSession {
  readonly #host: SessionHost
  #origin: SessionOrigin | undefined
  #record: SessionRecord | undefined
  #data: Data | undefined
  /** Each field that was set, or that was read and can be changed inside: its text before that. */
  #before: Map<string, string | undefined> = NONE
  /** Since `regenerate()` or `login()`. */
  #next: { readonly before: FieldChanges, readonly only: readonly string[], readonly isLogin: boolean } | undefined
  #isDestroyed = false
  #mustExist = false

  /** @param origin none for a session that is to be loaded first */
  constructor (host: SessionHost, origin?: SessionOrigin) {
    this.#host = host
    if (origin !== undefined) this.settle(origin)
  }

  /** Counts changes from here on. */
  settle (origin: SessionOrigin): void {
    this.#origin = origin
    this.#record = origin.record
    this.#data = origin.parsed
    this.#before = NONE
    this.#next = undefined
  }

  /** The same after a write in the middle of a request: values that were handed out and are still the same stay the session's own. */
  rebase (origin: SessionOrigin): void {
    const known = this.#data ?? {}
    this.settle(origin)
    const fields = this.#fields()
    for (const [key, value] of Object.entries(known)) {
      if (typeof value !== 'object' || value === null || JSON.stringify(value) !== JSON.stringify(fields[key])) continue
      fields[key] = value
      this.#remember(fields, key)
    }
  }

  get isLoaded (): boolean { return this.#origin !== undefined }

  get origin (): SessionOrigin { return this.#origin ?? this.#notLoaded() }

  get record (): SessionRecord { return this.#record ?? this.#notLoaded() }

  get id (): string { return this.record.id }

  get subject (): string | undefined { return this.record.subject }

  get authenticatedAt (): number | undefined { return this.record.authenticatedAt }

  get isNew (): boolean { return this.origin.isNew }

  get isEmpty (): boolean { return this.keys().length === 0 }

  get isDestroyed (): boolean { return this.#isDestroyed }

  /** `regenerate()` or `login()` was called: what is written goes under another id. */
  get isNext (): boolean { return this.#next !== undefined }

  keys (): string[] { return Object.keys(this.#fields()) }

  get (key: string): unknown {
    const fields = this.#fields()
    if (!Object.hasOwn(fields, key)) return undefined
    const value = fields[key]
    if (typeof value === 'object' && value !== null) this.#remember(fields, key)
    return value
  }

  set (key: string, value: unknown): void {
    const fields = this.#changeable()
    assertFieldName(key, key)
    if (value !== undefined) assertJson({ [key]: value }, this.#host.largestData)
    this.#remember(fields, key)
    if (value === undefined) Reflect.deleteProperty(fields, key)
    else fields[key] = value
  }

  data (): Data {
    const fields = this.#fields()
    return Object.fromEntries(Object.keys(fields).map(key => [key, this.get(key)]))
  }

  destroy (): void {
    if (this.#isDestroyed) return
    this.#changeable()
    this.#isDestroyed = true
    this.#data = {}
    this.#record = { ...newRecord(this.record.createdAt), id: this.record.id }
  }

  regenerate (keep: readonly string[] = []): void {
    this.#changeable()
    const { subject, authenticatedAt } = this.record
    this.#begin({ ...newRecord(currentSecond()), subject, authenticatedAt }, keep, false)
  }

  login (subject: string, keep: readonly string[] = []): void {
    this.#changeable()
    if (typeof subject !== 'string' || subject === '' || subject.length > 256) throw new SubjectInvalid(typeof subject === 'string' ? `${subject.length} characters` : typeof subject)
    // Of two that differ in nothing else, to end the sessions of one would end those of the other.
    if (hasLoneSurrogate(subject)) throw new TextNotUnicode('the subject')
    this.#host.assertLoginAllowed()
    this.#begin({ ...newRecord(currentSecond()), subject, authenticatedAt: Date.now() / 1000 }, keep, true)
  }

  /** Has the session written at the end of the request even if it is new and has no data. */
  keep (): void {
    this.#mustExist = true
  }

  /** Throws for data that JSON cannot carry or that is too large: a nested change was not seen when it was made. */
  plan (): Plan {
    const origin = this.origin
    if (this.#isDestroyed) return { kind: 'destroy' }
    if (this.#next === undefined && this.#before.size === 0 && !this.#mustExist) return { kind: origin.isRenewalDue === true ? 'renew' : 'nothing' }
    const fields = this.changes()
    const written = { record: this.record, fields, data: () => JSON.stringify(this.#fields()) }
    if (origin.isNew) {
      const isOfUse = this.#mustExist || !this.isEmpty || this.subject !== undefined
      return isOfUse ? { kind: 'create', ...written } : { kind: 'nothing' }
    }
    if (this.#next !== undefined) return { kind: 'rename', ...written, ...this.#next }
    if (Object.keys(fields).length > 0) return { kind: 'patch', ...written }
    return { kind: origin.isRenewalDue === true ? 'renew' : 'nothing' }
  }

  /** The fields that are not as they were, as JSON text. Throws as `plan()` does. */
  changes (): FieldChanges {
    const fields = this.#fields()
    const changes: Record<string, string | undefined> = {}
    for (const [key, before] of this.#before) {
      const value = fields[key]
      const hasValue = Object.hasOwn(fields, key)
      // What has no inside is as it was when it was set.
      if (hasValue && typeof value === 'object') assertJson({ [key]: value }, this.#host.largestData)
      const now = hasValue ? JSON.stringify(value) : undefined
      if (now !== before) changes[key] = now
    }
    return changes
  }

  assertChangeable (): void {
    this.#changeable()
  }

  #begin (record: SessionRecord, keep: readonly string[], isLogin: boolean): void {
    const fields = this.#fields()
    // A second new id in one request: what waits for the old one was decided by the first, and the stricter call counts.
    const before = this.#next?.before ?? this.changes()
    const only = this.#next === undefined ? keep : this.#next.only.filter(key => keep.includes(key))
    const kept = Object.keys(fields).filter(key => keep.includes(key))
    const data: Data = {}
    for (const key of kept) data[key] = fields[key]
    this.#next = { before, only, isLogin: isLogin || this.#next?.isLogin === true }
    // Of what was left behind nothing is known under the new id.
    for (const key of this.#before.keys()) if (!kept.includes(key)) this.#before.delete(key)
    this.#record = record
    this.#data = data
  }

  #remember (fields: Data, key: string): void {
    if (this.#before === NONE) this.#before = new Map()
    else if (this.#before.has(key)) return
    this.#before.set(key, Object.hasOwn(fields, key) ? JSON.stringify(fields[key]) : undefined)
  }

  #fields (): Data {
    this.#data ??= JSON.parse(this.origin.data) as Data
    return this.#data
  }

  #changeable (): Data {
    if (this.#isDestroyed) throw new Destroyed()
    const fields = this.#fields()
    if (this.#host.isResponseWritten) throw new AlreadySent()
    return fields
  }

  #notLoaded (): never {
    throw new NotLoaded(this.#host.name, this.#host.name)
  }
}
