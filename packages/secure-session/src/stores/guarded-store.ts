import { isFastkeepError, StoreUnavailable } from '../errors.js'
import { isNumberOrNull, isObjectText, isTextOrNull, isTime } from '../session-text.js'
import type { SessionStore, StoredSession } from './store.js'

/**
 * A store whose every answer comes within a deadline and has the right shape, or is `FST_KEEP_SECURE_SESSION_STORE_UNAVAILABLE` (503):
 * never "there is no session" because the store is down, slow or answers garbage.
 *
 * @param timeout ms
 */
export function guardedStore (store: SessionStore, timeout: number): SessionStore {
  const guard = async <Result>(operation: () => Promise<Result>, isRight: (result: Result) => boolean): Promise<Result> => {
    const result = await withDeadline(operation, timeout)
    if (!isRight(result)) throw new StoreUnavailable('its answer has a shape that no store of sessions gives')
    return result
  }
  const { destroyAll, list } = store
  return {
    read: (...args) => guard(() => store.read(...args), result => result === undefined || isStoredSession(result)),
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

/** Rejects with `FST_KEEP_SECURE_SESSION_STORE_UNAVAILABLE` unless the operation succeeds within so many ms. */
export async function withDeadline<Result> (operation: () => Result | Promise<Result>, timeout: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new StoreUnavailable(`no answer within ${timeout} ms`)), timeout)
  })
  try {
    return await Promise.race([operation(), deadline])
  } catch (error) {
    // What we say ourselves, such as that a store is full, stays as it is.
    if (isFastkeepError(error)) throw error
    // What the store says can name hosts and users: it goes to the log with the cause, not to whoever sent the request.
    throw new StoreUnavailable('the store failed', { cause: error as Error })
  } finally {
    clearTimeout(timer)
  }
}

function isStoredSession ({ version, createdAt, renewedAt, subject, authenticatedAt, data, movedTo }: Partial<StoredSession>): boolean {
  return isTime(version) && isTime(createdAt) && isTime(renewedAt) && isTextOrNull(subject ?? null) &&
    isNumberOrNull(authenticatedAt ?? null) && isTextOrNull(movedTo ?? null) && typeof data === 'string' && isObjectText(data)
}

function isBoolean (value: unknown): boolean {
  return typeof value === 'boolean'
}

function oneOf (...outcomes: readonly string[]): (value: string) => boolean {
  return value => outcomes.includes(value)
}
