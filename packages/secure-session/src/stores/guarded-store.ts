import { isNumberOrNull, isTextOrNull, isTime } from '../session-text.js'
import type { Deadlines } from './deadlines.js'
import type { SessionStore, StoredSession } from './store.js'

/**
 * A store whose every answer comes within a deadline and has the right shape, or is `FST_KEEP_SECURE_SESSION_STORE_UNAVAILABLE` (503):
 * never "there is no session" because the store is down, slow or answers garbage.
 */
export function guardedStore (store: SessionStore, deadlines: Deadlines): SessionStore {
  const guard = async <Result>(ask: () => Promise<Result>, isRight: (result: Result) => boolean): Promise<Result> => await deadlines.within(ask, isRight)
  const { destroyAll, list } = store
  return {
    read: (...args) => deadlines.within(() => store.read(...args), isSessionOrNone),
    create: (...args) => guard(() => store.create(...args), () => true),
    patch: (...args) => guard(() => store.patch(...args), oneOf('done', 'missing', 'conflict')),
    rename: (...args) => guard(() => store.rename(...args), oneOf('done', 'missing', 'moved')),
    touch: (...args) => guard(() => store.touch(...args), isBoolean),
    destroy: (...args) => guard(() => store.destroy(...args), isBoolean),
    ...destroyAll !== undefined && { destroyAll: (subject: string) => guard(() => destroyAll.call(store, subject), Number.isInteger) },
    ...list !== undefined && { list: (subject: string) => guard(() => list.call(store, subject), Array.isArray) },
    close: () => store.close(),
  }
}

/** All but the data, which is looked at where it is used. */
function isSessionOrNone (session: Partial<StoredSession> | undefined | null): boolean {
  if (session === undefined) return true
  if (session === null) return false
  const { version, createdAt, renewedAt, subject, authenticatedAt, data, movedTo } = session
  return isTime(version) && isTime(createdAt) && isTime(renewedAt) && typeof data === 'string' &&
    isTextOrNull(subject ?? null) && isNumberOrNull(authenticatedAt ?? null) && isTextOrNull(movedTo ?? null)
}

function isBoolean (value: unknown): boolean {
  return typeof value === 'boolean'
}

function oneOf (...outcomes: readonly string[]): (value: string) => boolean {
  return value => outcomes.includes(value)
}
