import { expiryOf, isRenewalDue, type Moment } from '../lifetimes.js'
import { isNumberOrNull, isTextOrNull, isTime, type Fact } from '../session-text.js'
import { mergeFields, renamed, type FieldChanges, type Renaming, type SessionSummary, type StoredSession } from './store.js'

/** A session in a table. */
export interface Entry extends StoredSession {
  /** Seconds since 1970. */
  readonly expiresAt: number
}

/** Sessions by id, and ids by subject, in a place that answers at once and for one caller at a time. */
export interface SessionTable {
  get (id: string): Entry | undefined
  /** Also notes the id among those of its subject. */
  put (id: string, entry: Entry): void
  delete (id: string, entry: Entry): void
  idsOf (subject: string): Iterable<string>
}

/** `SessionStore.read`, but for the renewal: whether that is due is said beside it. */
export function readFrom (table: SessionTable, id: string, moment: Moment): { entry: Entry | undefined, isDue: boolean } {
  const entry = live(table, id, moment.now)
  if (entry === undefined) return { entry, isDue: false }
  if (entry.movedTo !== undefined) return { entry: live(table, entry.movedTo, moment.now) && entry, isDue: false }
  return { entry, isDue: isRenewalDue(entry, moment, moment.now) }
}

export function createIn (table: SessionTable, id: string, session: StoredSession, moment: Moment): void {
  table.put(id, entryOf(session, expiryOf(session, moment)))
}

export function patchIn (table: SessionTable, id: string, changes: FieldChanges, moment: Moment, ifVersion?: number): 'done' | 'missing' | 'conflict' {
  const [liveId, entry] = current(table, id, moment.now)
  if (entry === undefined) return 'missing'
  if (ifVersion !== undefined && (entry.version !== ifVersion || liveId !== id)) return 'conflict'
  renew(table, liveId, { ...entry, version: entry.version + 1, data: mergeFields(entry.data, changes) }, moment)
  return 'done'
}

export function renameIn (table: SessionTable, oldId: string, newId: string, renaming: Renaming, moment: Moment): 'done' | 'missing' | 'moved' {
  const entry = live(table, oldId, moment.now)
  if (entry === undefined) return 'missing'
  if (entry.movedTo !== undefined) return live(table, entry.movedTo, moment.now) === undefined ? 'missing' : 'moved'
  createIn(table, newId, renamed(entry, renaming), moment)
  if (renaming.grace > 0) table.put(oldId, entryOf({ ...entry, movedTo: newId }, moment.now + renaming.grace))
  else table.delete(oldId, entry)
  return 'done'
}

/** @returns the session as it is then */
export function touchIn (table: SessionTable, id: string, moment: Moment): Entry | undefined {
  const [liveId, entry] = current(table, id, moment.now)
  return entry && renew(table, liveId, entry, moment)
}

export function destroyIn (table: SessionTable, id: string, now: number): boolean {
  const entry = live(table, id, now)
  if (entry === undefined) return false
  table.delete(id, entry)
  return entry.movedTo === undefined || destroyIn(table, entry.movedTo, now)
}

export function destroyAllIn (table: SessionTable, subject: string, now: number): number {
  return listIn(table, subject, now).filter(({ handle }) => destroyIn(table, handle, now)).length
}

export function listIn (table: SessionTable, subject: string, now: number): SessionSummary[] {
  return [...table.idsOf(subject)].flatMap(handle => {
    const entry = live(table, handle, now)
    if (entry === undefined || entry.movedTo !== undefined) return []
    const { createdAt, renewedAt, authenticatedAt } = entry
    return [{ handle, createdAt, renewedAt, subject, authenticatedAt }]
  })
}

/** The session of an id, unless it has expired. */
function live (table: SessionTable, id: string, now: number): Entry | undefined {
  const entry = table.get(id)
  return entry === undefined || now < entry.expiresAt ? entry : undefined
}

/** The session that an id stands for now, which may be under another one. */
function current (table: SessionTable, id: string, now: number): [id: string, entry: Entry | undefined] {
  const entry = live(table, id, now)
  return entry?.movedTo === undefined ? [id, entry] : current(table, entry.movedTo, now)
}

function renew (table: SessionTable, id: string, session: StoredSession, moment: Moment): Entry {
  // Another process may have renewed it by a clock that is ahead.
  const renewedAt = Math.max(session.renewedAt, moment.now)
  const renewed = entryOf(session, expiryOf({ createdAt: session.createdAt, renewedAt }, moment), renewedAt)
  table.put(id, renewed)
  return renewed
}

// One shape for all entries: there may be a million of them.
function entryOf ({ version, createdAt, renewedAt: before, subject, authenticatedAt, data, movedTo }: StoredSession, expiresAt: number, renewedAt = before): Entry {
  return { version, createdAt, renewedAt, expiresAt, subject, authenticatedAt, data, movedTo }
}

/** What is known of an entry besides its data, for JSON. */
export function factsOf ({ version, createdAt, renewedAt, expiresAt, subject, authenticatedAt, movedTo }: Entry): readonly Fact[] {
  return [version, createdAt, renewedAt, expiresAt, subject ?? null, authenticatedAt ?? null, movedTo ?? null]
}

/** The entry of which `factsOf` made these facts; `undefined` for any other. */
export function entryFrom (facts: readonly unknown[], data: string): Entry | undefined {
  const [version, createdAt, renewedAt, expiresAt, subject, authenticatedAt, movedTo] = facts
  if (!isTime(version) || !isTime(createdAt) || !isTime(renewedAt) || !isTime(expiresAt)) return undefined
  if (!isTextOrNull(subject) || !isNumberOrNull(authenticatedAt) || !isTextOrNull(movedTo)) return undefined
  return { version, createdAt, renewedAt, expiresAt, subject: subject ?? undefined, authenticatedAt: authenticatedAt ?? undefined, movedTo: movedTo ?? undefined, data }
}
