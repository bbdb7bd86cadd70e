import { integer, optionChecker } from '@fastkeep/options'
import { StoreFull } from '../errors.js'
import { currentSecond, type Moment } from '../lifetimes.js'
import type { FieldChanges, Renaming, SessionStore, SessionSummary, StoredSession } from './store.js'
import { createIn, destroyAllIn, destroyIn, listIn, patchIn, readFrom, renameIn, touchIn, type Entry, type SessionTable } from './table.js'

export interface MemoryStoreOptions {
  /** Sessions at a time; one more is refused with `FST_KEEP_SECURE_SESSION_STORE_FULL` (503). Default 100,000. */
  readonly maxSessions?: number
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
  readonly #table = new MemoryTable()
  readonly #maxSessions: number
  #sweeper: NodeJS.Timeout | undefined
  #fullSince = 0

  constructor (options: MemoryStoreOptions = {}) {
    checkOptions(options, rules)
    this.#maxSessions = options.maxSessions ?? 100_000
  }

  /** How many it holds, expired ones included that were not swept yet. */
  get size (): number { return this.#table.size }

  /** Answers at once; one made from this class may not. */
  read (id: string, moment: Moment): StoredSession | undefined | Promise<StoredSession | undefined> {
    const { entry, isDue } = readFrom(this.#table, id, moment)
    return isDue ? { ...touchIn(this.#table, id, moment) as Entry, isRenewed: true } : entry
  }

  async create (id: string, session: StoredSession, moment: Moment): Promise<void> {
    this.#makeRoom(moment.now)
    createIn(this.#table, id, session, moment)
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_INTERVAL).unref()
  }

  async patch (id: string, changes: FieldChanges, moment: Moment, ifVersion?: number): Promise<'done' | 'missing' | 'conflict'> {
    return patchIn(this.#table, id, changes, moment, ifVersion)
  }

  async rename (oldId: string, newId: string, renaming: Renaming, moment: Moment): Promise<'done' | 'missing' | 'moved'> {
    return renameIn(this.#table, oldId, newId, renaming, moment)
  }

  async touch (id: string, moment: Moment): Promise<boolean> {
    return touchIn(this.#table, id, moment) !== undefined
  }

  async destroy (id: string): Promise<boolean> {
    return destroyIn(this.#table, id, currentSecond())
  }

  async destroyAll (subject: string): Promise<number> {
    return destroyAllIn(this.#table, subject, currentSecond())
  }

  async list (subject: string): Promise<SessionSummary[]> {
    return listIn(this.#table, subject, currentSecond())
  }

  async close (): Promise<void> {
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
    this.#table.clear()
  }

  #makeRoom (now: number): void {
    if (this.#table.size < this.#maxSessions) return
    // To look at all of them takes long: at most once a second, however many want in.
    if (this.#fullSince !== now) this.#table.dropAllExpired(now)
    this.#fullSince = now
    if (this.#table.size >= this.#maxSessions) throw new StoreFull(this.#maxSessions)
  }

  #sweep (): void {
    this.#table.dropExpired(currentSecond(), SWEEP_SIZE)
    if (this.#table.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }
}

class MemoryTable implements SessionTable {
  readonly #entries = new Map<string, Entry>()
  readonly #subjects = new Map<string, Set<string>>()
  #round: Iterator<[string, Entry]> | undefined

  get size (): number { return this.#entries.size }

  get (id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  put (id: string, entry: Entry): void {
    this.#entries.set(id, entry)
    if (entry.subject === undefined) return
    const ids = this.#subjects.get(entry.subject)
    if (ids === undefined) this.#subjects.set(entry.subject, new Set([id]))
    else ids.add(id)
  }

  delete (id: string, { subject }: Entry): void {
    this.#entries.delete(id)
    if (subject === undefined) return
    const ids = this.#subjects.get(subject)
    ids?.delete(id)
    if (ids?.size === 0) this.#subjects.delete(subject)
  }

  idsOf (subject: string): Iterable<string> {
    return this.#subjects.get(subject) ?? []
  }

  /** Looks at so many entries from where it stopped before: a million in one go would hold up every request. */
  dropExpired (now: number, most: number): void {
    for (let count = 0; count < most; count++) {
      this.#round ??= this.#entries.entries()
      const { done, value } = this.#round.next()
      if (done === true) {
        this.#round = undefined
        return
      }
      if (now >= value[1].expiresAt) this.delete(value[0], value[1])
    }
  }

  dropAllExpired (now: number): void {
    this.#round = undefined
    this.dropExpired(now, Infinity)
  }

  clear (): void {
    this.#entries.clear()
    this.#subjects.clear()
  }
}
