import { inspect } from 'node:util'
import { NameReserved } from './errors.js'
import type { OpenedSession } from './opened-session.js'
import type { SessionData } from './session-data.js'

/** Why `onEnd` listeners are called. */
export type SessionEndReason = 'destroyed' | 'regenerated' | 'ended'

/** What a session has besides the fields of `SessionData`. */
export interface SessionMethods {
  /** 256 random bits in base64url: the same as long as the session lasts, new after `regenerate()` and `login()`. Not a secret to the client, who cannot read it either. */
  readonly id: string
  /** The request came without a cookie that was accepted. */
  readonly isNew: boolean
  /** There is no data. */
  readonly isEmpty: boolean
  /** Who has logged in with `login()`. */
  readonly subject: string | undefined
  /** When they did, in seconds since 1970, to the millisecond. */
  readonly authenticatedAt: number | undefined

  /** The value of a field. An object is the session's own: what is changed inside it is noticed and written. */
  get<Key extends keyof SessionData> (key: Key): SessionData[Key] | undefined

  /**
   * Sets a field, or removes it with `undefined`. Of the stored session only the fields that were changed are written.
   * @throws FST_KEEP_SECURE_SESSION_VALUE_NOT_JSON for a Date, Map, Set, BigInt, function, symbol, NaN, class instance and the like, and over 32 levels deep
   * @throws FST_KEEP_SECURE_SESSION_TOO_LARGE for a value of more than the cookie or the store may hold
   * @throws FST_KEEP_SECURE_SESSION_DESTROYED after `destroy()`
   * @throws FST_KEEP_SECURE_SESSION_ALREADY_SENT once the response's cookie is decided (in onSend), and in a WebSocket handler
   */
  set<Key extends keyof SessionData> (key: Key, value: SessionData[Key] | undefined): void

  /** A new object with all fields. */
  data (): Partial<SessionData>

  /** Ends the session: its data is gone, the cookie is expired if the request carried one, and it cannot be changed again in this request. */
  destroy (): void

  /**
   * Begins anew: another id, another absolute lifetime, no data but for the fields to keep. Who has logged in stays so.
   * Requests that are under way with the former id see it as it was for 5 s, and with a store what they write goes to the new one.
   * @example
   * request.session.regenerate(['cart'])
   */
  regenerate (keep?: ReadonlyArray<keyof SessionData>): void

  /**
   * Logs a subject in: another id, the former one ended at once, no data but for the fields to keep (ASVS 5.0 7.2.4).
   * @param subject 1 to 256 characters, for whoever `app.sessions.list(subject)` and `destroyAll(subject)` are asked about
   * @throws FST_KEEP_SECURE_SESSION_CROSS_SITE (403) in a request that another site's page has made
   * @throws FST_KEEP_SECURE_SESSION_SUBJECT_INVALID
   */
  login (subject: string, keep?: ReadonlyArray<keyof SessionData>): void

  /**
   * Changes the stored session now and as a whole: what the function sees is what is stored, and if another request
   * writes meanwhile it runs again. What this request has set before is written with it. Also for WebSocket handlers.
   * On a session that is new it runs once, and what it does is written with the response.
   *
   * @throws FST_KEEP_SECURE_SESSION_UPDATE_REFUSED with sealed cookies, which cannot be merged
   * @throws FST_KEEP_SECURE_SESSION_ENDED (409) if the session was ended meanwhile
   * @throws FST_KEEP_SECURE_SESSION_UPDATE_CONFLICT (503) if others wrote first for 5 s on end
   * @example await request.session.update(data => { data.visits = (data.visits ?? 0) + 1 })
   */
  update (change: (data: Partial<SessionData>) => void | Promise<void>): Promise<void>

  /**
   * Loads the session on a route with `session: 'lazy'`; elsewhere it is loaded already.
   * @throws FST_KEEP_SECURE_SESSION_STORE_UNAVAILABLE (503)
   */
  load (): Promise<void>

  /** A token that belongs to this session, for `csrf: { requireToken: true }`: another text each time, valid while the id is. */
  csrfToken (): string

  /**
   * Calls the listener once when the session ends: at once for what happens in this process and in the other workers of
   * its supervisor, within 10 s for what happens elsewhere (with a store or a `revocation`), and at its limits. For closing
   * WebSockets. Once the response is sent `regenerate()` in another request counts as an end too.
   * @returns a function that takes the listener away
   * @example socket.on('close', request.session.onEnd(() => socket.close(4401, 'session ended')))
   */
  onEnd (listener: (reason: SessionEndReason) => void): () => void
}

/** The session of a request: its methods, and each field as a property. */
export type Session = SessionMethods & Partial<SessionData>

/** What the registration gives the session of a request besides its data. */
export interface SessionExtras extends Pick<SessionMethods, 'csrfToken' | 'onEnd'> {
  load (): void | Promise<void>
  update (change: (data: Record<string, unknown>) => unknown): Promise<void>
}

/** The members of a session, and who has them. */
const MEMBERS: ReadonlyMap<string | symbol, 'session' | 'extras'> = new Map<keyof SessionMethods, 'session' | 'extras'>([
  ...(['id', 'isNew', 'isEmpty', 'subject', 'authenticatedAt', 'get', 'set', 'data', 'destroy', 'regenerate', 'login'] as const).map(name => [name, 'session'] as const),
  ...(['update', 'load', 'csrfToken', 'onEnd'] as const).map(name => [name, 'extras'] as const),
])

class Target {
  readonly session: OpenedSession
  readonly extras: SessionExtras

  constructor (session: OpenedSession, extras: SessionExtras) {
    this.session = session
    this.extras = extras
  }

  /** console.log() takes what to show from behind the proxy, and calls it on the proxy. */
  get [inspect.custom] (): () => unknown {
    return () => this.session.isLoaded ? this.session.data() : 'not loaded'
  }
}

const propertyAccess: ProxyHandler<Target> = {
  get (target, name) {
    const owner = MEMBERS.get(name)
    // Whatever is awaited is asked for it, and a session that is not loaded yet would throw.
    if (name === 'then' && !target.session.isLoaded) return undefined
    if (owner === undefined) return isFieldName(name) ? target.session.get(name) : Reflect.get(Object.prototype, name)
    const own: unknown = Reflect.get(target[owner], name)
    // Private members are found on the object only, not on the proxy around it.
    if (typeof own !== 'function') return own
    return name === 'load' ? async () => { await target.extras.load() } : own.bind(target[owner])
  },
  set ({ session }, name, value) {
    session.set(fieldName(name), value)
    return true
  },
  deleteProperty ({ session }, name) {
    session.set(fieldName(name), undefined)
    return true
  },
  has: ({ session }, name) => isFieldName(name) ? session.keys().includes(name) : MEMBERS.has(name),
  ownKeys: ({ session }) => session.keys(),
  getOwnPropertyDescriptor ({ session }, name) {
    if (!isFieldName(name) || !session.keys().includes(name)) return undefined
    return { value: session.get(name), writable: true, enumerable: true, configurable: true }
  },
  // Each of these would change the object and not the session.
  defineProperty: () => false,
  setPrototypeOf: () => false,
  preventExtensions: () => false,
}

/** Gives the session of a request the form in which handlers see it. */
export function sessionWithProperties (session: OpenedSession, extras: SessionExtras): Session {
  return new Proxy<Target>(new Target(session, extras), propertyAccess) as unknown as Session
}

function fieldName (name: string | symbol): string {
  if (isFieldName(name)) return name
  throw new NameReserved(String(name))
}

function isFieldName (name: string | symbol): name is string {
  return typeof name === 'string' && !MEMBERS.has(name) && !(name in Object.prototype)
}
