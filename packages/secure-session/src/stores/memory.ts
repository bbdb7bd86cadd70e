import { integer, optionChecker } from '@fastkeep/options'
import { StoreFull } from '../errors.js'
import { currentSecond, expiryOf, isRenewalDue, type Moment } from '../lifetimes.js'
import { mergeFields, renamed, type FieldChanges, type Renaming, type SessionStore, type SessionSummary, type StoredSession } from './store.js'

export interface MemoryStoreOptions {
  /** Sessions at a time; one more is refused with `FST_KEEP_SECURE_SESSION_STORE_FULL` (503). Default 100,000. */
  readonly maxSessions?: number
}

interface Entry extends StoredSession {
  /** Seconds since 1970. */
  readonly expiresAt: number
}

const checkOptions = optionChecker('secure-session')
const rules = { maxSessions: integer(1, 10_000_000, 'sessions') }

/** How often (ms) expired sessions are looked for, and how many are looked at then. */
const SWEEP_INTERVAL = 1000
const SWEEP_SIZE = 5000

/**
 * Sessions in the memory of one process: gone with it, and not shared with others. For tests, development and services of one process.
 *
 * @example await app.register(secureSession, { keyFile, store: new MemoryStore() })
 */
export class MemoryStore implements SessionStore {
  readonly #sessions = new Map<string, Entry>()
  readonly #subjects = new Map<string, Set<string>>()
  readonly #maxSessions: number
  #sweeper: NodeJS.Timeout | undefined
  #sweep: Iterator<[string, Entry]> | undefined

  constructor (options: MemoryStoreOptions = {}) {
    checkOptions(options, rules)
    this.#maxSessions = options.maxSessions ?? 100_000
  }

  /** How many it holds, expired ones included that were not swept yet. */
  get size (): number { return this.#sessions.size }

  async read (id: string, moment: Moment): Promise<StoredSession | undefined> {
    const entry = this.#live(id, moment.now)
    if (entry === undefined) return undefined
    if (entry.movedTo !== undefined) return this.#live(entry.movedTo, moment.now) === undefined ? undefined : entry
    return isRenewalDue(entry, moment, moment.now) ? { ...this.#renew(id, entry, moment), isRenewed: true } : entry
  }

  async create (id: string, session: StoredSession, moment: Moment): Promise<void> {
    if (this.#sessions.size >= this.#maxSessions) this.#dropExpired(moment.now)
    if (this.#sessions.size >= this.#maxSessions) throw new StoreFull(this.#maxSessions)
    this.#put(id, session, expiryOf(session, moment))
  }

  async patch (id: string, changes: FieldChanges, moment: Moment, ifVersion?: number): Promise<'done' | 'missing' | 'conflict'> {
    const [liveId, entry] = this.#current(id, moment.now)
    if (entry === undefined) return 'missing'
    if (ifVersion !== undefined && (entry.version !== ifVersion || liveId !== id)) return 'conflict'
    this.#renew(liveId, { ...entry, version: entry.version + 1, data: mergeFields(entry.data, changes) }, moment)
    return 'done'
  }

  async rename (oldId: string, newId: string, renaming: Renaming, moment: Moment): Promise<'done' | 'missing' | 'moved'> {
    const entry = this.#live(oldId, moment.now)
    if (entry === undefined) return 'missing'
    if (entry.movedTo !== undefined) return 'moved'
    const next = renamed(entry, renaming)
    this.#put(newId, next, expiryOf(next, moment))
    if (renaming.grace > 0) this.#put(oldId, { ...entry, movedTo: newId }, moment.now + renaming.grace)
    else this.#delete(oldId)
    return 'done'
  }

  async touch (id: string, moment: Moment): Promise<boolean> {
    const [liveId, entry] = this.#current(id, moment.now)
    if (entry !== undefined) this.#renew(liveId, entry, moment)
    return entry !== undefined
  }

  async destroy (id: string): Promise<boolean> {
    const [liveId, entry] = this.#current(id, currentSecond())
    this.#delete(id)
    this.#delete(liveId)
    return entry !== undefined
  }

  async destroyAll (subject: string): Promise<number> {
    const sessions = await this.list(subject)
    for (const { handle } of sessions) this.#delete(handle)
    return sessions.length
  }

  async list (subject: string): Promise<SessionSummary[]> {
    const now = currentSecond()
    return [...this.#subjects.get(subject) ?? []].flatMap(handle => {
      const entry = this.#live(handle, now)
      if (entry === undefined || entry.movedTo !== undefined) return []
      const { createdAt, renewedAt, authenticatedAt } = entry
      return [{ handle, createdAt, renewedAt, subject, authenticatedAt }]
    })
  }

  async close (): Promise<void> {
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
    this.#sessions.clear()
    this.#subjects.clear()
  }

  #live (id: string, now: number): Entry | undefined {
    const entry = this.#sessions.get(id)
    if (entry === undefined || now < entry.expiresAt) return entry
    this.#delete(id)
    return undefined
  }

  /** The session that an id stands for now, which may be under another one. */
  #current (id: string, now: number): [id: string, entry: Entry | undefined] {
    const entry = this.#live(id, now)
    return entry?.movedTo === undefined ? [id, entry] : this.#current(entry.movedTo, now)
  }

  #renew (id: string, session: StoredSession, moment: Moment): Entry {
    const renewedAt = Math.max(session.renewedAt, moment.now)
    return this.#put(id, session, expiryOf({ ...session, renewedAt }, moment), renewedAt)
  }

  // One object shape for all entries, and no property that a session does not need: there may be a million.
  #put (id: string, { version, createdAt, renewedAt, subject, authenticatedAt, data, movedTo }: StoredSession, expiresAt: number, renewed = renewedAt): Entry {
    const entry: Entry = { version, createdAt, renewedAt: renewed, expiresAt, subject, authenticatedAt, data, movedTo }
    this.#sessions.set(id, entry)
    if (subject !== undefined) this.#index(subject, id)
    this.#sweeper ??= setInterval(() => this.#sweepSome(), SWEEP_INTERVAL).unref()
    return entry
  }

  #index (subject: string, id: string): void {
    const ids = this.#subjects.get(subject)
    if (ids === undefined) this.#subjects.set(subject, new Set([id]))
    else ids.add(id)
  }

  #delete (id: string): void {
    const subject = this.#sessions.get(id)?.subject
    this.#sessions.delete(id)
    if (subject === undefined) return
    const ids = this.#subjects.get(subject)
    ids?.delete(id)
    if (ids?.size === 0) this.#subjects.delete(subject)
  }

  // A part at a time: a million sessions looked at in one go would hold up every request.
  #sweepSome (): void {
    const now = currentSecond()
    this.#sweep ??= this.#sessions.entries()
    for (let count = 0; count < SWEEP_SIZE; count++) {
      const { done, value } = this.#sweep.next()
      if (done === true) {
        this.#sweep = undefined
        break
      }
      if (now >= value[1].expiresAt) this.#delete(value[0])
    }
    if (this.#sessions.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }

  #dropExpired (now: number): void {
    for (const [id, { expiresAt }] of this.#sessions) if (now >= expiresAt) this.#delete(id)
  }
}
