import { setTimeout as delay } from 'node:timers/promises'
import { Ended, TooLarge, UpdateConflict } from '../errors.js'
import { assertJson } from '../json-values.js'
import { currentSecond, GRACE, passedLimit, type Lifetimes, type Moment } from '../lifetimes.js'
import type { Commitment, Reading, SessionMode } from '../mode.js'
import type { OpenedSession, SessionOrigin } from '../opened-session.js'
import type { Plan } from '../plan.js'
import type { OpenedCookie, SealedCookies } from '../sealed/sealed-cookies.js'
import type { SessionRecord } from '../session-record.js'
import { objectFrom } from '../session-text.js'
import { storedId } from '../stored-id.js'
import { garbage } from './deadlines.js'
import { inTurn } from './in-turn.js'
import type { FieldChanges, Renaming, SessionStore, StoredSession } from './store.js'

/** How long (ms) `update()` runs again for. */
const UPDATE_DEADLINE = 5000

export interface StoredSessionsOptions extends Lifetimes {
  readonly cookies: SealedCookies
  readonly store: SessionStore
  readonly maxPerSubject: number | undefined
  readonly largestData: number
}

/** Sessions that live in a store; the cookie holds the sealed id, so that a forged one never reaches the store. */
export class StoredSessions implements SessionMode {
  readonly #options: StoredSessionsOptions
  // Of one that waits for itself, one update() within another, the inner goes on, and the outer ends with a conflict.
  readonly #updates = inTurn(UPDATE_DEADLINE)

  constructor (options: StoredSessionsOptions) {
    this.#options = options
  }

  read (value: string, now: number): Reading | Promise<Reading> {
    const cookie = this.#options.cookies.open(value, now)
    if ('refused' in cookie) return cookie
    const stored = this.#options.store.read(cookie.handle, this.#moment(now))
    return stored instanceof Promise ? stored.then(found => this.#readingOf(cookie, found, now)) : this.#readingOf(cookie, stored, now)
  }

  #readingOf (cookie: OpenedCookie, stored: StoredSession | undefined, now: number): Reading {
    if (stored === undefined) return { refused: 'unknown-session' }
    const parsed = objectFrom(stored.data)
    if (parsed === undefined) throw garbage()
    const passed = passedLimit(stored, this.#options, now)
    return passed === undefined ? originOf(cookie, stored, parsed) : { refused: passed }
  }

  async commit (plan: Plan, origin: SessionOrigin, now: number): Promise<Commitment> {
    const { store } = this.#options
    const moment = this.#moment(now)
    const key = storedId(origin.record.id)
    switch (plan.kind) {
      case 'nothing': return { cookie: 'unchanged', origin }
      case 'renew': return { cookie: this.#cookie(origin.record, now), origin: { ...origin, parsed: undefined, isRenewalDue: false } }
      case 'destroy':
        if (!origin.isNew) await store.destroy(key)
        return { cookie: 'expired', origin }
      case 'create': {
        const record = { ...plan.record, createdAt: now, renewedAt: now }
        const data = this.#fitting(plan.data())
        await store.create(storedId(record.id), { ...record, version: 1, data }, moment)
        const displaced = await this.#endOldest(record)
        return { cookie: this.#cookie(record, now), origin: { record, data, isNew: false }, displaced }
      }
      case 'patch': {
        const data = this.#fitting(plan.data())
        const isDropped = await store.patch(key, plan.fields, moment) === 'missing'
        const record = { ...plan.record, renewedAt: now }
        return { cookie: origin.isRenewalDue === true && !isDropped ? this.#cookie(record, now) : 'unchanged', origin: { record, data, isNew: false, movedTo: origin.movedTo }, isDropped }
      }
      case 'rename': return await this.#rename(plan, origin, moment)
    }
  }

  async update (session: OpenedSession, change: (data: Record<string, unknown>) => unknown): Promise<void> {
    const { store, largestData } = this.#options
    let key = storedId(session.origin.record.id)
    const deadline = performance.now() + UPDATE_DEADLINE
    await this.#updates(key, async () => {
      for (let attempt = 1; ; attempt++) {
        const moment = this.#moment(currentSecond())
        const stored = await store.read(key, moment)
        if (stored === undefined) throw new Ended()
        if (stored.movedTo !== undefined) {
          // Another request has given the session its next id: what is changed is what it is now.
          key = stored.movedTo
          continue
        }
        const own = session.changes()
        const before = objectFrom(stored.data)
        if (before === undefined) throw garbage()
        const data = withChanges(before, own)
        await change(data)
        assertJson(data, largestData)
        const changes = differences(stored.data, data)
        const outcome = Object.keys(changes).length === 0 ? 'done' : await store.patch(key, changes, moment, stored.version)
        if (outcome === 'missing') throw new Ended()
        if (outcome === 'done') {
          session.rebase({ ...session.origin, parsed: undefined, record: { ...session.origin.record, renewedAt: moment.now }, data: JSON.stringify(data) })
          return
        }
        if (performance.now() > deadline) throw new UpdateConflict(attempt)
        // The others are in other processes and began at the same time: they part at random.
        await delay(Math.random() * Math.min(2 ** attempt, 50))
      }
    })
  }

  async isAlive ({ id }: SessionRecord): Promise<boolean> {
    const stored = await this.#options.store.read(storedId(id), { ...this.#moment(currentSecond()), renewAfter: Infinity })
    return stored !== undefined && stored.movedTo === undefined
  }

  handleOf (id: string): string {
    return storedId(id)
  }

  async #rename (plan: Plan & { kind: 'rename' }, origin: SessionOrigin, moment: Moment): Promise<Commitment> {
    const { store } = this.#options
    const record = { ...plan.record, createdAt: moment.now, renewedAt: moment.now }
    const { isLogin, only, fields, before } = plan
    this.#fitting(plan.data())
    const renaming = { ...record, only, fields, grace: isLogin ? 0 : GRACE }
    const key = storedId(origin.record.id)
    if (!isLogin && Object.keys(before).length > 0) await store.patch(key, before, moment)
    const outcome = isLogin ? await this.#renameForLogin(key, storedId(record.id), renaming, moment) : await store.rename(key, storedId(record.id), renaming, moment)
    if (outcome === 'missing' && isLogin) {
      // The former session has ended meanwhile, which is no reason to refuse a login: it begins without it.
      await store.create(storedId(record.id), { ...record, version: 1, data: plan.data() }, moment)
    }
    if (outcome === 'done' || isLogin) {
      const displaced = await this.#endOldest(record)
      return { cookie: this.#cookie(record, moment.now), origin: { record, data: plan.data(), isNew: false }, displaced }
    }
    // Another request has given the session its next id, and its answer has the cookie.
    const isDropped = outcome === 'missing' || await store.patch(key, fields, moment) === 'missing'
    return { cookie: 'unchanged', origin, isDropped }
  }

  /** Whoever logs in gets an id that nobody else has, also if another request has given the session its next one. */
  async #renameForLogin (key: string, newKey: string, renaming: Renaming, moment: Moment): Promise<'done' | 'missing'> {
    const { store } = this.#options
    for (let oldKey: string | undefined = key; oldKey !== undefined; oldKey = (await store.read(oldKey, moment))?.movedTo) {
      const outcome = await store.rename(oldKey, newKey, renaming, moment)
      if (outcome !== 'moved') return outcome
    }
    return 'missing'
  }

  /** Each value was measured when it was set; this is all of them. */
  #fitting (data: string): string {
    const { largestData } = this.#options
    if (data.length > largestData) throw Object.assign(new TooLarge(`the session's data has ${data.length} bytes`, largestData), { size: data.length, limit: largestData })
    return data
  }

  #cookie (record: SessionRecord, now: number): { value: string, record: SessionRecord } {
    // Of the record only the id and its begin are sealed: the rest is the store's, and only there is it true.
    const { id, createdAt } = record
    return { value: this.#options.cookies.seal({ record: { id, createdAt, renewedAt: createdAt }, sealedAt: now * 1000, data: '{}' }, now), record }
  }

  /**
   * Ends the sessions of the subject that are over the number, the one renewed longest ago first. Never the one that has just logged in.
   * @returns the handles of those that it ended
   */
  async #endOldest ({ id, subject }: SessionRecord): Promise<string[]> {
    const { store, maxPerSubject } = this.#options
    if (subject === undefined || maxPerSubject === undefined) return []
    const others = (await store.list?.(subject) ?? []).filter(({ handle }) => handle !== storedId(id))
    const surplus = others.toSorted((a, b) => b.renewedAt - a.renewedAt || b.createdAt - a.createdAt).slice(maxPerSubject - 1)
    const ended = await Promise.all(surplus.map(async ({ handle }) => await store.destroy(handle) ? [handle] : []))
    return ended.flat()
  }

  #moment (now: number): Moment {
    const { idleTimeout, absoluteTimeout, renewAfter } = this.#options
    return { now, idleTimeout, absoluteTimeout, renewAfter }
  }
}

function originOf ({ record: { id }, isKeyRetired, keyId }: OpenedCookie, stored: StoredSession, parsed: Record<string, unknown>): SessionOrigin {
  const { createdAt, renewedAt, subject, authenticatedAt, data, movedTo, isRenewed } = stored
  // The next id's own answer brings the next cookie.
  const isRenewalDue = isKeyRetired && movedTo === undefined
  return { record: { id, createdAt, renewedAt, subject, authenticatedAt }, data, parsed, isNew: false, isRenewalDue, isRenewed, movedTo, keyId }
}

function withChanges (data: Record<string, unknown>, changes: FieldChanges): Record<string, unknown> {
  const changed = { ...data }
  for (const [field, text] of Object.entries(changes)) {
    if (text === undefined) Reflect.deleteProperty(changed, field)
    else changed[field] = JSON.parse(text)
  }
  return changed
}

/** What must be written so that the stored text becomes this data. */
function differences (text: string, data: Record<string, unknown>): FieldChanges {
  const before = JSON.parse(text) as Record<string, unknown>
  const changes: Record<string, string | undefined> = {}
  // By its own: an object inherits names such as "constructor".
  for (const field of Object.keys(before)) if (!Object.hasOwn(data, field) || data[field] === undefined) changes[field] = undefined
  for (const [field, value] of Object.entries(data)) {
    if (value === undefined) continue
    const now = JSON.stringify(value)
    if (!Object.hasOwn(before, field) || JSON.stringify(before[field]) !== now) changes[field] = now
  }
  return changes
}
