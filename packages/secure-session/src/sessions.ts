import { NeedsStore, StoreUnusable } from './errors.js'
import type { SessionCounts } from './events.js'
import { USUAL_ROUTE, type RouteSettings, type Settings } from './options.js'
import type { Registration } from './registration.js'
import type { SessionStore, SessionSummary } from './stores/store.js'

/** What holds for the sessions of one registration, and on one route. */
export interface SessionPolicy {
  readonly name: string
  readonly mode: 'sealed cookie' | 'store'
  /** The name and attributes of the cookie, as they are sent. */
  readonly cookie: string
  /** Seconds. */
  readonly idleTimeout: number
  /** Seconds. */
  readonly absoluteTimeout: number
  /** Seconds. */
  readonly renewAfter: number
  /** How many there are in the ring. */
  readonly keys: number
  /** How far the end of a session reaches. */
  readonly revocation: string
  readonly concurrency: string
  readonly maxPerSubject: number | 'any number'
  readonly csrf: string
  /** Whether and when a route has the session. */
  readonly route?: 'off' | 'loaded before the handler' | 'loaded by load()' | 'opened at first use'
}

/** `app.sessions`: the sessions of an application besides that of a request. */
export interface Sessions {
  /** All live sessions of a subject (ASVS 5.0 7.5.2). Rejects with `FST_KEEP_SECURE_SESSION_NEEDS_STORE` for sealed cookies. */
  list (subject: string): Promise<SessionSummary[]>
  /** Ends one session by the handle that `list` gives. @returns whether there was one */
  destroy (handle: string): Promise<boolean>
  /** Ends all sessions of a subject (ASVS 5.0 7.4.2, 7.4.5). @returns how many */
  destroyAll (subject: string): Promise<number>
  /** What holds, for people and for tests (ASVS 5.0 7.1.1). @param route a method and path as they were declared */
  describe (route?: { readonly method: string, readonly url: string }): SessionPolicy
  /** How often each event came in this process. */
  readonly counts: SessionCounts
  /**
   * Reads `keyFile` or the environment again, and uses what is there now: sessions under keys that are gone have ended.
   * Done at the engine's `graceful` as well. Throws as registration does, and then nothing has changed.
   */
  reloadKeys (): void
}

/** The key of a route among those that `sessionsOf` takes. */
export function routeKey (method: string, url: string): string {
  return `${method.toUpperCase()} ${url}`
}

export function sessionsOf (registration: Registration, routes: ReadonlyMap<string, RouteSettings>): Sessions {
  const { settings, store, events, watch, reloadKeys } = registration
  const listing = (what: string): SessionStore => {
    if (store === undefined) throw new NeedsStore(what, 'end sealed sessions of a subject by option "notBefore"')
    return store
  }
  return {
    async list (subject) {
      const able = listing('sessions.list()')
      if (able.list === undefined) throw unable('list')
      return await able.list(subject)
    },
    async destroy (handle) {
      const wasThere = await listing('sessions.destroy()').destroy(handle)
      if (wasThere) events.publish('destroyed', () => handle, undefined)
      watch.end(handle, 'destroyed')
      return wasThere
    },
    async destroyAll (subject) {
      const able = listing('sessions.destroyAll()')
      if (able.destroyAll === undefined || able.list === undefined) throw unable('end')
      const handles = (await able.list(subject)).map(({ handle }) => handle)
      const count = await able.destroyAll(subject)
      // One may have begun, or ended, since they were listed.
      for (let index = 0; index < count; index++) events.publish('destroyed', () => handles[index] ?? '', subject)
      watch.endAll(subject, handles)
      return count
    },
    describe: route => ({ ...policyOf(registration), ...route !== undefined && { route: useOf(settings, routes.get(routeKey(route.method, route.url))) } }),
    get counts () { return events.counts },
    reloadKeys,
  }
}

function policyOf ({ settings, cookie, keyCount, isEndShared }: Registration): SessionPolicy {
  const { name, store, idleTimeout, absoluteTimeout, renewAfter, maxPerSubject = 'any number', csrf } = settings
  return {
    name,
    mode: store === undefined ? 'sealed cookie' : 'store',
    cookie: cookie.lines('', undefined, absoluteTimeout)[0] ?? '',
    idleTimeout,
    absoluteTimeout,
    renewAfter,
    keys: keyCount(),
    revocation: revocationOf(settings, isEndShared),
    concurrency: store === undefined
      ? 'of two answers that both write, the browser keeps the later one'
      : 'requests write only the fields that they changed; update() is atomic',
    maxPerSubject,
    csrf: csrf === false ? 'off' : `own origin${csrf.origins.map(origin => `, ${origin}`).join('')}${csrf.requireToken ? '; a token where a request tells of no origin' : ''}`,
  }
}

function revocationOf ({ store, revocation, notBefore }: Settings, isEndShared: boolean): string {
  if (store !== undefined) return 'in the store, for all who share it'
  const bySubject = notBefore === undefined ? '' : '; by subject through "notBefore"'
  if (revocation !== undefined) return `for all who share the "revocation"${bySubject}`
  return (isEndShared
    ? 'the workers of this supervisor, also those that come later: after a restart of the supervisor, and on other machines, a copied cookie is accepted until its limits'
    : 'this process only: other processes, and this one after a restart, accept a copied cookie until its limits') + bySubject
}

function useOf (settings: Settings, { isOff, isLazy } = USUAL_ROUTE): NonNullable<SessionPolicy['route']> {
  if (isOff) return 'off'
  if (settings.store === undefined && settings.revocation === undefined && settings.notBefore === undefined) return 'opened at first use'
  return isLazy ? 'loaded by load()' : 'loaded before the handler'
}

function unable (what: string): Error {
  return new StoreUnusable(`this store cannot ${what} the sessions of a subject`)
}
