import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { optionChecker, string } from '@fastkeep/options'
import { open, type Database, type RootDatabase } from 'lmdb'
import { configurationError, StoreUnusable } from '../errors.js'
import { currentSecond, type Moment } from '../lifetimes.js'
import type { End, Revocation } from '../sealed/ended-sessions.js'
import { fromText, toText } from '../session-text.js'
import type { FieldChanges, Renaming, SessionStore, SessionSummary, StoredSession } from './store.js'
import { createIn, destroyAllIn, destroyIn, entryFrom, factsOf, listIn, patchIn, readFrom, renameIn, touchIn, type Entry, type SessionTable } from './table.js'

export interface LmdbStoreOptions {
  /** A directory of its own, on a disk of this machine. It is made, for this user alone, where it is not there yet. */
  readonly path: string
}

const checkOptions = optionChecker('secure-session')
const rules = { path: string('the path of a directory', /^[^\0]+$/) }

const ENVIRONMENT = {
  encoding: 'string',
  maxDbs: 3,
  // With it lmdb makes a promise for each commit that nobody can hear: one that fails would end the process.
  eventTurnBatching: false,
  // So that what is written in one turn of the event loop is one commit all the same.
  txnStartThreshold: 1000,
} as const

/** How long (ms) to wait for the database to close after a commit that failed: lmdb waits for that one for ever. */
const LONGEST_CLOSE = 1000

/** How often (ms) expired entries are looked for, and how many are looked at then. */
const SWEEP_INTERVAL = 10_000
const SWEEP_SIZE = 5000

/**
 * Sessions in an embedded database on this machine (LMDB), shared by all processes that open the same directory.
 * What was answered survives `kill -9` of any of them; of a power cut the last moments may be lost, never the whole.
 * Its `revocation` tells the same processes which sealed sessions have ended.
 *
 * @example
 * import { LmdbStore } from '@fastkeep/secure-session/lmdb'
 * await app.register(secureSession, { keyFile, store: new LmdbStore({ path: '/var/lib/shop/sessions' }) })
 */
export class LmdbStore implements SessionStore {
  readonly #root: RootDatabase<string, string>
  readonly #table: LmdbTable
  readonly #ends: Database<string, string>
  readonly #sweeper: NodeJS.Timeout
  readonly #sessionsInTurn: Parts
  readonly #endsInTurn: Parts
  #isClosed = false
  #hasFailed = false

  constructor (options: LmdbStoreOptions) {
    checkOptions(options, rules)
    this.#root = opened(options.path)
    // A process that was killed leaves its place among the readers taken, and old pages with it.
    this.#root.readerCheck()
    this.#table = new LmdbTable(this.#root)
    this.#ends = this.#root.openDB<string, string>({ name: 'ends', encoding: 'string' })
    this.#sessionsInTurn = new Parts((start, limit) => this.#table.keysFrom(start, limit))
    this.#endsInTurn = new Parts((start, limit) => [...this.#ends.getKeys({ start, limit })])
    this.#sweeper = setInterval(() => { this.#sweep().catch(() => {}) }, SWEEP_INTERVAL).unref()
  }

  /** For sealed cookies: the ends of sessions, for all processes that open the same directory. */
  get revocation (): Revocation {
    return {
      isEnded: id => {
        const [from = Infinity] = timesIn(this.#ends.get(id))
        return currentSecond() >= from
      },
      end: async (id, { from, until }: End) => {
        await this.#write(() => {
          const [earlier = from] = timesIn(this.#ends.get(id))
          this.#ends.putSync(id, `${Math.min(from, earlier)} ${until}`)
        })
      },
    }
  }

  read (id: string, moment: Moment): StoredSession | undefined | Promise<StoredSession | undefined> {
    const { entry, isDue } = readFrom(this.#table, id, moment)
    return isDue ? this.#renew(id, moment) : entry
  }

  async create (id: string, session: StoredSession, moment: Moment): Promise<void> {
    await this.#write(() => createIn(this.#table, id, session, moment))
  }

  async patch (id: string, changes: FieldChanges, moment: Moment, ifVersion?: number): Promise<'done' | 'missing' | 'conflict'> {
    return await this.#write(() => patchIn(this.#table, id, changes, moment, ifVersion))
  }

  async rename (oldId: string, newId: string, renaming: Renaming, moment: Moment): Promise<'done' | 'missing' | 'moved'> {
    return await this.#write(() => renameIn(this.#table, oldId, newId, renaming, moment))
  }

  async touch (id: string, moment: Moment): Promise<boolean> {
    return await this.#write(() => touchIn(this.#table, id, moment)) !== undefined
  }

  async destroy (id: string): Promise<boolean> {
    return await this.#write(() => destroyIn(this.#table, id, currentSecond()))
  }

  async destroyAll (subject: string): Promise<number> {
    return await this.#write(() => destroyAllIn(this.#table, subject, currentSecond()))
  }

  async list (subject: string): Promise<SessionSummary[]> {
    return listIn(this.#table, subject, currentSecond())
  }

  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#sweeper)
    const closed = this.#root.close()
    await (this.#hasFailed ? Promise.race([closed, delay(LONGEST_CLOSE)]) : closed)
  }

  /** Rejects, and nothing is written, where the commit fails, as on a full disk. */
  async #write<Result> (task: () => Result): Promise<Result> {
    try {
      const result = await this.#root.transaction(task)
      this.#hasFailed = false
      return result
    } catch (error) {
      const { commitError } = error as { commitError?: Promise<unknown> }
      if (commitError === undefined) throw error
      this.#hasFailed = true
      // The reason comes by a promise of its own, which would end the process if nobody heard it.
      commitError.catch(() => {})
      throw new Error('LMDB could not write to its directory: is the disk full?', { cause: error })
    }
  }

  async #renew (id: string, moment: Moment): Promise<StoredSession | undefined> {
    const renewed = await this.#write(() => touchIn(this.#table, id, moment))
    return renewed && { ...renewed, isRenewed: true }
  }

  /** A part at a time, so that no request waits for it. */
  async #sweep (): Promise<void> {
    const now = currentSecond()
    const expired = this.#sessionsInTurn.next().filter(id => (this.#table.get(id)?.expiresAt ?? Infinity) <= now)
    const ended = this.#endsInTurn.next().filter(id => this.#untilOf(id) <= now)
    if (expired.length + ended.length === 0) return
    await this.#write(() => {
      for (const id of expired) this.#table.deleteExpired(id, now)
      for (const id of ended) if (this.#untilOf(id) <= now) this.#ends.removeSync(id)
    })
  }

  #untilOf (id: string): number {
    return timesIn(this.#ends.get(id))[1] ?? Infinity
  }
}

/** The keys of a database, a part at a time, round and round. */
class Parts {
  readonly #keysFrom: (start: string | undefined, limit: number) => string[]
  #last: string | undefined

  constructor (keysFrom: (start: string | undefined, limit: number) => string[]) {
    this.#keysFrom = keysFrom
  }

  next (): string[] {
    const keys = this.#keysFrom(this.#last, SWEEP_SIZE)
    this.#last = keys.length < SWEEP_SIZE ? undefined : keys.at(-1)
    return keys
  }
}

function opened (path: string): RootDatabase<string, string> {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return open<string, string>({ path: join(path, 'sessions.mdb'), ...ENVIRONMENT })
  } catch (error) {
    throw configurationError(new StoreUnusable(`LmdbStore: cannot open a database in "${path}" (${(error as Error).message}). It must be a directory on a local disk that this user may write to`, { cause: error as Error }))
  }
}

/** To be changed only within a transaction. */
class LmdbTable implements SessionTable {
  readonly #sessions: Database<string, string>
  readonly #subjects: Database<string, string>

  constructor (root: RootDatabase<string, string>) {
    this.#sessions = root.openDB<string, string>({ name: 'sessions', encoding: 'string' })
    this.#subjects = root.openDB<string, string>({ name: 'subjects', encoding: 'string' })
  }

  get (id: string): Entry | undefined {
    const text = this.#sessions.get(id)
    if (text === undefined) return undefined
    const read = fromText(text)
    const entry = read && entryFrom(read.facts, read.data)
    if (entry === undefined) throw new Error('an entry of the database is no session')
    return entry
  }

  put (id: string, entry: Entry): void {
    this.#sessions.putSync(id, toText(factsOf(entry), entry.data))
    if (entry.subject === undefined) return
    const ids = this.idsOf(entry.subject)
    if (!ids.includes(id)) this.#putIds(entry.subject, [...ids, id])
  }

  delete (id: string, { subject }: Entry): void {
    this.#sessions.removeSync(id)
    if (subject !== undefined) this.#putIds(subject, this.idsOf(subject).filter(other => other !== id))
  }

  deleteExpired (id: string, now: number): void {
    const entry = this.get(id)
    if (entry !== undefined && now >= entry.expiresAt) this.delete(id, entry)
  }

  // One entry for each subject: what LMDB calls duplicates, several values of a key, came back spoiled now and then.
  idsOf (subject: string): string[] {
    return this.#subjects.get(subjectKey(subject))?.split(' ') ?? []
  }

  #putIds (subject: string, ids: readonly string[]): void {
    if (ids.length === 0) this.#subjects.removeSync(subjectKey(subject))
    else this.#subjects.putSync(subjectKey(subject), ids.join(' '))
  }

  keysFrom (start: string | undefined, most: number): string[] {
    return [...this.#sessions.getKeys({ start, limit: most })]
  }
}

function timesIn (text: string | undefined): number[] {
  return text?.split(' ').map(Number) ?? []
}

// A key of LMDB has at most 1978 bytes.
function subjectKey (subject: string): string {
  return createHash('sha256').update(subject).digest('base64url')
}
