import { configurationError, StoreUnusable } from '../errors.js'
import { currentSecond, type Moment } from '../lifetimes.js'
import { objectFrom } from '../session-text.js'
import { inTurn } from './in-turn.js'
import type { FieldChanges, Renaming, SessionStore, SessionSummary, StoredSession } from './store.js'
import { createIn, destroyIn, entryFrom, factsOf, listIn, patchIn, readFrom, renameIn, touchIn, type Entry, type SessionTable } from './table.js'

type Done<Value = unknown> = (error?: unknown, value?: Value) => void

/** What a store of express-session is, as far as it is used (its README: "Session Store Implementation"). */
export interface ExpressStoreLike {
  get (id: string, done: Done): void
  set (id: string, session: never, done?: Done): void
  destroy (id: string, done?: Done): void
  all? (done: Done): void
}

/** How long (ms) an answer is waited for: the next request of the session waits for its turn. */
const LONGEST_SILENCE = 10_000

/** How a session stands in a store of express-session, which goes by `cookie.expires`. */
interface Kept {
  readonly cookie: { readonly expires: string, readonly originalMaxAge: number }
  readonly handle: string
  readonly facts: readonly unknown[]
  readonly data: unknown
}

/**
 * Sessions in a store that was made for express-session. Such a store writes a session as a whole, so that what needs
 * more is done here, by taking turns for each session: within one process no write is lost, among several it can be.
 * `list` and `destroyAll` are there if the store has `all`.
 *
 * @example
 * import { ExpressStore } from '@fastkeep/secure-session/express'
 * await app.register(secureSession, { keyFile, store: new ExpressStore(new FileStore({ path: 'sessions' })) })
 */
export class ExpressStore implements SessionStore {
  readonly #store: ExpressStoreLike
  readonly #turns = inTurn()
  readonly list?: (subject: string) => Promise<SessionSummary[]>
  readonly destroyAll?: (subject: string) => Promise<number>

  constructor (store: ExpressStoreLike) {
    for (const method of ['get', 'set', 'destroy'] as const) {
      if (typeof Reflect.get(Object(store), method) !== 'function') throw configurationError(new StoreUnusable(`a store of express-session has the method ${method}, and this has not`))
    }
    this.#store = store
    if (store.all === undefined) return
    this.list = subject => this.#list(subject)
    this.destroyAll = async subject => {
      const wereThere = await Promise.all((await this.#list(subject)).map(({ handle }) => this.destroy(handle)))
      return wereThere.filter(wasThere => wasThere).length
    }
  }

  async read (id: string, moment: Moment): Promise<StoredSession | undefined> {
    const loaded = await this.#chain(id, moment.now)
    const { entry, isDue } = readFrom(new Draft(loaded), id, moment)
    if (!isDue) return entry
    const renewed = await this.#transact(id, moment.now, table => touchIn(table, id, moment))
    return renewed && { ...renewed, isRenewed: true }
  }

  async create (id: string, session: StoredSession, moment: Moment): Promise<void> {
    await this.#transact(id, moment.now, table => createIn(table, id, session, moment))
  }

  async patch (id: string, changes: FieldChanges, moment: Moment, ifVersion?: number): Promise<'done' | 'missing' | 'conflict'> {
    return await this.#transact(id, moment.now, table => patchIn(table, id, changes, moment, ifVersion))
  }

  async rename (oldId: string, newId: string, renaming: Renaming, moment: Moment): Promise<'done' | 'missing' | 'moved'> {
    return await this.#transact(oldId, moment.now, table => renameIn(table, oldId, newId, renaming, moment))
  }

  async touch (id: string, moment: Moment): Promise<boolean> {
    return await this.#transact(id, moment.now, table => touchIn(table, id, moment)) !== undefined
  }

  async destroy (id: string): Promise<boolean> {
    const now = currentSecond()
    return await this.#transact(id, now, table => destroyIn(table, id, now))
  }

  /** The store was made by whoever uses it, and the interface of express-session has no way to close it. */
  async close (): Promise<void> {}

  async #list (subject: string): Promise<SessionSummary[]> {
    const all = await this.#ask<Kept[] | Record<string, Kept> | undefined>(done => this.#store.all?.(done))
    const entries = new Map<string, Entry>()
    for (const kept of Object.values(all ?? {})) {
      const entry = entryOf(kept)
      if (entry?.subject === subject) entries.set(kept.handle, entry)
    }
    return listIn(new Draft(entries), subject, currentSecond())
  }

  /** Runs a change on a session, and on those that it has moved to, while no other of this process does. */
  async #transact<Result> (id: string, now: number, change: (table: SessionTable) => Result, loaded = new Map<string, Entry>()): Promise<Result> {
    return await this.#turns(id, async () => {
      const entry = await this.#load(id)
      if (entry !== undefined) loaded.set(id, entry)
      if (entry?.movedTo !== undefined && now < entry.expiresAt) return await this.#transact(entry.movedTo, now, change, loaded)
      const table = new Draft(loaded)
      const result = change(table)
      // The new first: what points to it may not be there before it.
      for (const [written, next] of table.written) await this.#ask(done => this.#store.set(written, keptFrom(written, next) as never, done))
      for (const removed of table.removed) await this.#ask(done => this.#store.destroy(removed, done))
      return result
    })
  }

  /** A session, and those that it has moved to. */
  async #chain (id: string, now: number, loaded = new Map<string, Entry>()): Promise<Map<string, Entry>> {
    const entry = await this.#load(id)
    if (entry === undefined) return loaded
    loaded.set(id, entry)
    return entry.movedTo === undefined || now >= entry.expiresAt ? loaded : await this.#chain(entry.movedTo, now, loaded)
  }

  async #load (id: string): Promise<Entry | undefined> {
    const kept = await this.#ask<Kept | null | undefined>(done => this.#store.get(id, done)).catch((error: unknown) => {
      // As express-session takes it: a store of files has none.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    })
    if (kept === undefined || kept === null) return undefined
    const entry = entryOf(kept)
    if (entry === undefined) throw new Error('what the store keeps under the id is no session of this package')
    return entry
  }

  #ask<Value> (question: (done: Done) => void): Promise<Value> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer within ${LONGEST_SILENCE} ms`)), LONGEST_SILENCE).unref()
      question((error, value) => {
        clearTimeout(timer)
        if (error === undefined || error === null) resolve(value as Value)
        else reject(error instanceof Error ? error : new Error(String(error)))
      })
    })
  }
}

/** A table that notes what is to be written. */
class Draft implements SessionTable {
  readonly written = new Map<string, Entry>()
  readonly removed = new Set<string>()
  readonly #entries: Map<string, Entry>

  constructor (entries: Map<string, Entry>) {
    this.#entries = entries
  }

  get (id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  put (id: string, entry: Entry): void {
    this.#entries.set(id, entry)
    this.written.set(id, entry)
  }

  delete (id: string): void {
    this.#entries.delete(id)
    this.removed.add(id)
  }

  idsOf (): Iterable<string> {
    return this.#entries.keys()
  }
}

function keptFrom (handle: string, entry: Entry): Kept {
  const expires = entry.expiresAt * 1000
  return {
    cookie: { expires: new Date(expires).toISOString(), originalMaxAge: Math.max(1, expires - Date.now()) },
    handle,
    facts: factsOf(entry),
    data: JSON.parse(entry.data) as unknown,
  }
}

function entryOf ({ facts, data }: Partial<Kept>): Entry | undefined {
  const text = JSON.stringify(data) as string | undefined
  return Array.isArray(facts) && text !== undefined && objectFrom(text) !== undefined ? entryFrom(facts, text) : undefined
}
